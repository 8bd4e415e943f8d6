import Foundation
import RedisStreams
@testable import RedisStreamsTesting
import Testing

extension IntegrationTests {
    /// The same commands on the in-memory server and on a real one, reply by reply: the fake cannot drift.
    @Suite struct Conformance {
        /// The in-memory server that behaves like the real one; `nil` if there is none for its version.
        static func version(of server: TestServer) async throws -> InMemoryRedis.Version? {
            try await server.withClient { InMemoryRedis.Version(try await $0.info("server")) }
        }

        /// `CONFORMANCE_SEEDS=100` tries more.
        static let seeds = 1...(ProcessInfo.processInfo.environment["CONFORMANCE_SEEDS"].flatMap { Int($0) } ?? 8)

        @Test("random commands have the same replies, whatever came before", arguments: TestServer.all, seeds)
        func randomCommands(binary: ServerBinary, seed: Int) async throws {
            try await TestServer.withOwn(binary) { server in
                guard let version = try await Self.version(of: server) else { return }
                var generator = RandomCommands(seed: UInt64(seed), hasPolicies: version == .redis8_2)
                try await Self.compare(generator.make(3000), server, version)
            }
        }

        private static func compare(
            _ commands: [[String]],
            _ server: TestServer,
            _ version: InMemoryRedis.Version
        ) async throws {
            let real = try await RawConnection(port: server.port)
            let model = ModelServer(version)
            real.send(commands)
            for command in commands { model.send(command) }
            let expected = await real.replies(commands.count)
            let found = model.replies()
            #expect(expected.count == commands.count)
            #expect(found.count == commands.count)
            if let drift = drift(commands, expected, found) {
                Issue.record("In memory, \(version.rawValue) differs from the real one: \(drift)")
            }
        }

        /// Describes the first reply that differs; `nil` if there is none.
        private static func drift(_ commands: [[String]], _ expected: [RESPText], _ found: [RESPText]) -> String? {
            var queue: [[String]] = []
            for (index, command) in commands.enumerated() {
                var triples = [(command, expected[index], found[index])]
                if expected[index] == .line("+QUEUED") { queue.append(command) }
                if command == ["EXEC"] {
                    let (real, inMemory) = (expected[index].elements, found[index].elements)
                    // A transaction is compared command by command.
                    if !real.isEmpty, real.count == inMemory.count {
                        triples = zip(queue, zip(real, inMemory)).map { ($0, $1.0, $1.1) }
                    }
                    queue = []
                }
                guard let first = triples.first(where: { $1.masked($0) != $2.masked($0) }) else { continue }
                let before = commands[max(0, index - 40)..<index].map { $0.joined(separator: " ").prefix(120) }
                return """
                    command \(index), \(first.0.joined(separator: " ").prefix(300))
                      real:      \(first.1)
                      in memory: \(first.2)
                    after:
                      \(before.joined(separator: "\n  "))
                    """
            }
            return nil
        }
    }
}
