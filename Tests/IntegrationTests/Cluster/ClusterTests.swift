import Foundation
import RedisStreams
import Synchronization
import Testing

extension IntegrationTests {
    /// Producers and consumers on real clusters while slots move and masters change. `make test-cluster` runs the long form.
    @Suite(.timeLimit(.minutes(10))) struct Clusters {
        /// The servers whose clusters are tested.
        static let servers = TestServer.all.filter { $0.name != "redis-6.2" }

        private static let isLong = ProcessInfo.processInfo.environment["REDIS_STREAMS_CLUSTER"] == "long"
        /// How long recovery may take. CI shares its machine with others.
        private static let recoveryLimit = Duration.seconds(20)

        private static func configuration(of cluster: RealCluster) -> RedisClient.Configuration {
            var configuration = RedisClient.Configuration()
            configuration.topology = .cluster(seeds: cluster.masters.map(\.address))
            configuration.backoff.limit = .milliseconds(500)
            configuration.acquireTimeout = .seconds(20)
            return configuration
        }

        @Test(
            "nothing that was confirmed and replicated is lost while slots move and masters change",
            arguments: servers
        )
        func faults(binary: ServerBinary) async throws {
            try await RealCluster.withOwn(binary, .init(masters: 3, replicas: 1)) { cluster in
                try await withRedisClient(Self.configuration(of: cluster)) { redis in
                    let load = ClusterLoad(redis)
                    try await load.running {
                        var story = ClusterStory(cluster, load)
                        for number in 0..<(Self.isLong ? 20 : 4) { try await story.moveSlot(number) }
                        for number in 0..<(Self.isLong ? 5 : 1) { try await story.failOver(number) }
                        for number in 0..<(Self.isLong ? 5 : 1) { try await story.kill(number) }
                        #expect(story.slowest <= Self.recoveryLimit)
                        print(story.report(of: binary))
                    }
                    #expect(load.confirmedCount > 100)
                    #expect(load.lost == [], "what was confirmed and not handled")
                    #expect(load.unread == [], "what was confirmed and not read by fan-out")
                    #expect(try await load.disorder() == [], "messages of one producer that are out of order")
                }
            }
        }

        @Test("the quickstart works by the URL of a cluster alone", arguments: servers)
        func url(binary: ServerBinary) async throws {
            let cluster = try await RealCluster.shared(binary)
            let seeds = cluster.masters.map { "127.0.0.1:\($0.port)" }.joined(separator: ",")
            try await withRedisClient("redis+cluster://\(seeds)") { redis in
                let stream = StreamKey.unique()
                for number in 1...10 { try await redis.xadd(stream, ["n": .integer(number)]) }
                let handled = NumberSet()
                let consumer = GroupConsumer(redis, stream: stream, group: "g")
                let running = Task { try await consumer.run { handled.insert($0.number) } }
                try await eventually("all are handled") { handled.count == 10 }
                running.cancel()
                try await running.value
                #expect(try await redis.xpending(stream, group: "g").count == 0)
            }
        }

        /// Two nodes may give the same id to two connections. A consumer ends only its own stale connection, on the server that
        /// gave it its id.
        @Test("a stranger with the same client id on another node lives", arguments: servers)
        func stranger(binary: ServerBinary) async throws {
            let cluster = try await RealCluster.shared(binary)
            let stream = StreamKey.unique()
            try await withRedisClient(Self.configuration(of: cluster)) { redis in
                let handled = NumberSet()
                let consumer = GroupConsumer(redis, stream: stream, group: "g")
                let running = Task { try await consumer.run { handled.insert($0.number) } }
                try await redis.xadd(stream, ["n": 1])
                try await eventually("the first is handled") { handled.count == 1 }
                let owner = try await cluster.owner(of: stream.slot)
                let target = try #require(cluster.masters.first { $0 !== owner })
                let before = await Self.clientIDs(at: target)
                try await cluster.move(stream.slot, to: target)
                try await redis.xadd(stream, ["n": 2])
                try await eventually("the second is handled") { handled.count == 2 }
                #expect(await Self.clientIDs(at: target).isSuperset(of: before), "no connection there was ended")
                running.cancel()
                try await running.value
            }
        }

        /// The ids of the clients of a node that stay connected.
        private static func clientIDs(at node: RealCluster.Node) async -> Set<Substring> {
            let lines = await node.text("CLIENT", "LIST", "TYPE", "NORMAL").split(separator: "\n")
            // Connections of the test itself come and go.
            return Set(
                lines.filter { !$0.contains("cmd=client") }.compactMap {
                    $0.split(separator: " ").first { $0.hasPrefix("id=") }
                }
            )
        }
    }
}

extension RealCluster {
    /// The two nodes of which one is the master of the slot and the other its replica.
    func pair(of slot: Int) async throws -> (master: Node, replica: Node) {
        let master = try await owner(of: slot)
        let half = nodes.count / 2
        return (master, nodes[(master.index + half) % nodes.count])
    }
}
