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

        @Test("random commands have the same replies, whatever came before", arguments: TestServer.all, 1...8)
        func randomCommands(binary: ServerBinary, seed: Int) async throws {
            try await TestServer.withOwn(binary) { server in
                guard let version = try await Self.version(of: server) else { return }
                var generator = RandomCommands(seed: UInt64(seed), hasPolicies: version == .redis8_2)
                try await Self.compare(generator.make(3000), server, version)
            }
        }

        static func compare(_ commands: [[String]], _ server: TestServer, _ version: InMemoryRedis.Version) async throws {
            let real = try await RawConnection(port: server.port)
            let model = ModelServer(version)
            real.send(commands)
            for command in commands { model.send(command) }
            let expected = await real.replies(commands.count)
            let found = model.replies()
            #expect(expected.count == commands.count)
            #expect(found.count == commands.count)
            var queue: [[String]]?
            for (index, pair) in zip(expected, found).enumerated() {
                var command = commands[index]
                var (expected, found) = (pair.0.masked(command), pair.1.masked(command))
                // A transaction is compared command by command.
                if let queued = queue, command == ["EXEC"], expected.elements.count == found.elements.count {
                    let replies = zip(expected.elements, found.elements)
                    let masked = zip(queued, replies).map { ($0, $1.0.masked($0), $1.1.masked($0)) }
                    if let first = masked.first(where: { $0.1 != $0.2 }) { (command, expected, found) = first }
                    else { (expected, found) = (.null(""), .null("")) }
                }
                if command == ["MULTI"], expected == .line("+OK") { queue = [] }
                if expected == .line("+QUEUED") { queue?.append(command) }
                if command == ["EXEC"] { queue = nil }
                guard expected != found else { continue }
                if let dump = ProcessInfo.processInfo.environment["CONFORMANCE_DUMP"] {
                    try JSONEncoder().encode(Array(commands[...index])).write(to: URL(fileURLWithPath: "\(dump)/\(version.rawValue)-\(index).json"))
                }
                let before = commands[max(0, index - 40)..<index].map { $0.joined(separator: " ").prefix(120) }
                Issue.record(
                    """
                    Command \(index), \(command.joined(separator: " ").prefix(300)), differs on \(version.rawValue):
                      real:      \(expected)
                      in memory: \(found)
                    After:
                      \(before.joined(separator: "\n  "))
                    """
                )
                return
            }
        }
    }
}
