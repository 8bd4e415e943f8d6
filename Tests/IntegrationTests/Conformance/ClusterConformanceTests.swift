import RedisStreams
@testable import RedisStreamsTesting
import Testing

extension IntegrationTests.Conformance {
    /// What real clusters answer while a slot moves or a master changes, and what the in-memory one answers. The errors are
    /// compared by their first word, and redirections by slot and node.
    @Suite struct Cluster {
        @Test("a cluster whose slots move gives the same replies", arguments: TestServer.all, ClusterScenario.moves)
        func moves(binary: ServerBinary, scenario: ClusterScenario) async throws {
            try await Self.compare(try await RealCluster.shared(binary), scenario)
        }

        @Test(
            "a cluster that fails gives the same replies, and its nodes announce the same names",
            arguments: TestServer.all
        )
        func failures(binary: ServerBinary) async throws {
            var options = RealCluster.Options()
            options.replicas = 1
            try await RealCluster.withOwn(binary, options) { cluster in
                try await Self.compareAnnouncements(cluster)
                for scenario in ClusterScenario.failures { try await Self.compare(cluster, scenario) }
            }
        }

        private static func compare(_ cluster: RealCluster, _ scenario: ClusterScenario) async throws {
            guard let version = try await version(of: cluster) else { return }
            if scenario.needsValkey, version != .valkey9_1 { return }
            let server = ClusterServer(cluster, scenario)
            try await server.waitUntilNobodyIsBlocked()
            let expected = try await scenario.run(on: server)
            let found = try await scenario.run(on: ClusterModelServer(version, scenario))
            for (index, lines) in zip(expected, found).enumerated() where lines.0 != lines.1 {
                Issue.record("\(version.rawValue), line \(index)\n  real:      \(lines.0)\n  in memory: \(lines.1)")
            }
            #expect(expected.count == found.count)
            #expect(!expected.contains { $0.hasSuffix("no reply") || $0.hasSuffix("none") }, "a step had no effect")
        }

        @Test("a difference between versions is found")
        func control() async throws {
            let scenario = try #require(ClusterScenario.moves.first)
            let old = try await scenario.run(on: ClusterModelServer(.redis6_2, scenario))
            let new = try await scenario.run(on: ClusterModelServer(.redis7_0, scenario))
            let different = zip(old, new).filter { $0 != $1 }.map(\.0)
            #expect(different.contains { $0.hasSuffix("-ASK \(scenario.slot) b") && $0.contains("EXISTS") })
        }

        /// The in-memory version that behaves like the cluster; `nil` if there is none.
        private static func version(of cluster: RealCluster) async throws -> InMemoryRedis.Version? {
            let configuration = RedisClient.Configuration(address: cluster.nodes[0].address)
            return try await withRedisClient(configuration) { InMemoryRedis.Version(try await $0.info("server")) }
        }

        // MARK: Announcements

        private static func compareAnnouncements(_ cluster: RealCluster) async throws {
            guard let version = try await version(of: cluster) else { return }
            // A replica appears when its master has sent it something.
            try await eventually("the first node knows the replicas") {
                try await cluster.nodes[0].send("CLUSTER", "SLOTS").elements.allSatisfy { $0.elements.count == 4 }
            }
            try await compareNames(cluster, version, .address)
            // Redis 6.2 knows only addresses.
            if version == .redis6_2 { return }
            try await prefer("unknown-endpoint", cluster)
            try await compareNames(cluster, version, .unknownEndpoint)
            try await prefer("hostname", cluster)
            for node in cluster.nodes {
                try await node.order("CONFIG", "SET", "cluster-announce-hostname", "node-\(node.index + 1)")
            }
            let last = cluster.nodes.count
            try await eventually("the first node knows all names") {
                let slots = await cluster.nodes[0].text("CLUSTER", "SLOTS")
                return (1...last).allSatisfy { slots.contains("\"node-\($0)\"") }
            }
            try await compareNames(cluster, version, .hostname)
            try await prefer("ip", cluster)
        }

        private static func prefer(_ endpoint: String, _ cluster: RealCluster) async throws {
            for node in cluster.nodes {
                try await node.order("CONFIG", "SET", "cluster-preferred-endpoint-type", endpoint)
            }
        }

        private static func compareNames(
            _ cluster: RealCluster,
            _ version: InMemoryRedis.Version,
            _ announcement: InMemoryCluster.Announcement
        ) async throws {
            let key = "key-of-another-node"
            #expect(StreamKey(key).slot * 3 / 16_384 != 0)
            for command in [["CLUSTER", "SLOTS"], ["XLEN", key]] {
                let real = try await cluster.nodes[0].send(command)
                let inMemory = try #require(ClusterModelServer.reply(to: command, version, announcement))
                let expected = shape(real) { port in cluster.nodes.first { $0.port == port }?.index }
                #expect(
                    expected == shape(inMemory) { (7000..<7006).contains($0) ? $0 - 7000 : nil },
                    "\(version.rawValue), \(announcement)"
                )
            }
        }

        /// The reply with the positions of nodes instead of their ports, ids and IP addresses.
        private static func shape(_ reply: RESPText, _ index: (Int) -> Int?) -> RESPText {
            switch reply {
            case .line(let text) where text.hasPrefix("-"):
                let parts = text.split(separator: ":", omittingEmptySubsequences: false)
                let host = parts[0].split(separator: " ").dropFirst(2).first.map(String.init) ?? ""
                let node = parts.last.flatMap { Int($0) }.flatMap(index).map { "node \($0)" } ?? "?"
                return .line("\(host.contains(".") ? "IP" : host) \(node)")
            case .line(let text):
                // A number of a slot is left as it is.
                guard let node = Int(text.dropFirst()).flatMap(index) else { return reply }
                return .line("node \(node)")
            case .bulk(let text):
                if text.count == 40 { return .bulk("ID") }
                return text.contains(".") ? .bulk("IP") : reply
            default: return reply.mapElements { shape($1, index) }
            }
        }
    }
}
