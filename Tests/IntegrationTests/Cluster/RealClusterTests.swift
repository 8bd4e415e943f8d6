import NIOCore
import RedisStreams
import Testing

extension IntegrationTests {
    /// The levers of real clusters, on which other tests rely.
    @Suite struct RealClusters {
        private static let key = "k"
        private static let slot = StreamKey(key).slot

        @Test("a cluster starts, moves slots, fails over, and takes its nodes back", arguments: TestServer.all)
        func levers(binary: ServerBinary) async throws {
            var options = RealCluster.Options()
            options.replicas = 1
            try await RealCluster.withOwn(binary, options) { cluster in
                let first = try await cluster.owner(of: Self.slot)
                try await first.order("XADD", Self.key, "1-0", "f", "v")
                let second = try #require(cluster.masters.first { $0 !== first })
                try await cluster.move(Self.slot, to: second)
                for node in cluster.masters {
                    #expect(try await cluster.owner(of: Self.slot, asking: node) === second)
                }
                #expect(try await second.send("XLEN", Self.key) == .line(":1"))
                if binary.name.contains("valkey") {
                    try await cluster.moveAtomically(Self.slot, from: second, to: first)
                    try await cluster.move(Self.slot, to: second)
                }
                try await failOver(cluster, second)
                try await killAndRestart(cluster, cluster.replica(of: second))
            }
        }

        private func failOver(_ cluster: RealCluster, _ master: RealCluster.Node) async throws {
            let replica = cluster.replica(of: master)
            try await cluster.failOver(to: replica)
            try await eventually("the old master knows") {
                await master.text("XLEN", Self.key) == "-MOVED \(Self.slot) 127.0.0.1:\(replica.port)"
            }
            try await cluster.waitUntilItWorks()
            #expect(try await replica.send("XLEN", Self.key) == .line(":1"))
        }

        /// Kills a master, whose replica takes over after the node timeout, and starts it again.
        private func killAndRestart(_ cluster: RealCluster, _ master: RealCluster.Node) async throws {
            let replica = try #require(cluster.masters.first { cluster.replica(of: $0) === master })
            try await cluster.kill(master)
            try await eventually("the replica takes over") { await replica.text("XLEN", Self.key) == ":1" }
            try await cluster.start(master)
            try await cluster.waitUntilItWorks()
            #expect(await master.text("INFO", "replication").contains("role:slave"))
            let writer = try await RawConnection(port: replica.port)
            writer.close(after: .seconds(60))
            cluster.stop(replica)
            writer.send([["XADD", Self.key, "2-0", "f", "v"]])
            try await eventually("the other one takes over") { await master.text("XLEN", Self.key) == ":1" }
            cluster.cont(replica)
            // It executes what waited in its socket before it learns that it is a replica. `InMemoryCluster` does so, too.
            #expect(await writer.replies(1) == [.bulk("2-0")])
            try await cluster.waitUntilItWorks()
            #expect(await master.text("XLEN", Self.key) == ":1")
            try await eventually("the stopped master knows") {
                await replica.text("XLEN", Self.key) == "-MOVED \(Self.slot) 127.0.0.1:\(master.port)"
            }
        }
    }
}
