import RedisStreams
@testable import RedisStreamsTesting
import Testing

extension IntegrationTests.Conformance {
    /// What real clusters answer while a slot moves or a master changes, and what the in-memory one answers. The errors are
    /// compared by their first word, and redirections by slot and node.
    @Suite struct Cluster {
        @Test("a cluster gives the same replies", arguments: TestServer.all, ClusterScenario.all)
        func replies(binary: ServerBinary, scenario: ClusterScenario) async throws {
            if scenario.name == "failover" {
                var options = RealCluster.Options()
                options.replicas = 1
                try await RealCluster.withOwn(binary, options) { try await Self.compare($0, scenario) }
            } else {
                try await Self.compare(try await RealCluster.shared(binary), scenario)
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
        }

        @Test("a difference between versions is found")
        func control() async throws {
            let scenario = try #require(ClusterScenario.all.first)
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
    }
}
