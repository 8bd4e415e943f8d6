import Foundation
import RedisStreams
@testable import RedisStreamsTesting
import Testing

extension IntegrationTests {
    /// The same commands on the in-memory server and on a real one, compared reply by reply: so the fake cannot drift.
    @Suite struct Conformance {
        /// The in-memory server that behaves like the real one; `nil` if there is none for its version.
        static func version(of server: TestServer) async throws -> InMemoryRedis.Version? {
            try await server.withClient { InMemoryRedis.Version(try await $0.info("server")) }
        }

        /// The number of commands of one seed.
        private static let length = 3000

        /// `make conformance-fuzz SEED=4711 COUNT=300000` runs other seeds, and more of them.
        static let seeds: [UInt64] = {
            let environment = ProcessInfo.processInfo.environment
            let first = environment["CONFORMANCE_SEED"].flatMap { UInt64($0) } ?? 1
            let count = environment["CONFORMANCE_COUNT"].flatMap { Int($0) } ?? 8 * length
            return (0..<UInt64(max(1, count / length))).map { first &+ $0 }
        }()

        @Test("random commands have the same replies, whatever came before", arguments: TestServer.all, seeds)
        func randomCommands(binary: ServerBinary, seed: UInt64) async throws {
            try await TestServer.withOwn(binary) { server in
                guard let version = try await Self.version(of: server) else { return }
                var generator = RandomCommands(seed: seed, version: version)
                let commands = generator.make(Self.length)
                let comparison = Comparison(server: server, version: version, usesRESP3: seed % 4 == 0)
                guard let first = try await comparison.difference(commands) else { return }
                let (shortest, difference) = try await comparison.shortened(commands, first)
                Issue.record(
                    """
                    In memory, \(version.rawValue) differs from the real one (make conformance-fuzz SEED=\(seed) COUNT=1):
                    \(difference)
                    after:
                      \(shortest.map(Comparison.text).joined(separator: "\n  "))
                    """
                )
            }
        }

        @Test("a difference is found, and shortened to the commands that show it", arguments: TestServer.all)
        func control(binary: ServerBinary) async throws {
            try await TestServer.withOwn(binary) { server in
                let version = try await Self.version(of: server)
                let other = Comparison(server: server, version: version == .redis6_2 ? .redis7_0 : .redis6_2)
                let commands = ["SET k 1", "XADD s 1-0 a 1", "GET k", "XINFO STREAM s"]
                    .map { $0.split(separator: " ").map(String.init) }
                let first = try #require(try await other.difference(commands + [["PING"]]))
                #expect(first.index == 3)
                let (shortest, _) = try await other.shortened(commands, first)
                #expect(shortest == [commands[1], commands[3]])
            }
        }
    }
}
