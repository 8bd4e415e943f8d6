import RedisStreams
@testable import RedisStreamsTesting
import Testing

extension IntegrationTests.Conformance {
    /// What happens while a reader is blocked.
    enum Happening: String, Sendable, CaseIterable, CustomTestStringConvertible {
        case add = "XADD s 200-0 a 1"
        case addLower = "XADD s 5-0 a 1"
        case delete = "DEL s"
        case unlink = "UNLINK s"
        case flushAll = "FLUSHALL"
        case flushDatabase = "FLUSHDB ASYNC"
        case rename = "RENAME s t"
        case swap = "SWAPDB 0 1"
        case expire = "PEXPIRE s 0"
        case replace = "SET s x"
        case destroy = "XGROUP DESTROY s g"
        case setBack = "XGROUP SETID s g 0"
        case removeConsumer = "XGROUP DELCONSUMER s g c"
        case deleteAndAdd = "MULTI/DEL s/XADD s 5-0 a 1/EXEC"
        case addAndDelete = "MULTI/XADD s 200-0 a 1/XDEL s 200-0/EXEC"

        var testDescription: String { rawValue }

        var commands: [[String]] {
            rawValue.split(separator: "/").map { $0.split(separator: " ").map(String.init) }
        }
    }

    @Test("a blocked reader gets the same replies", arguments: TestServer.all, Happening.allCases)
    func blockedReader(binary: ServerBinary, happening: Happening) async throws {
        try await TestServer.withOwn(binary) { server in
            guard let version = try await Self.version(of: server) else { return }
            for reader in ["XREADGROUP GROUP g c BLOCK 60000 STREAMS s >", "XREAD BLOCK 60000 STREAMS s $"] {
                let reader = reader.split(separator: " ").map(String.init)
                let expected = try await Self.onServer(server, reader, happening.commands)
                #expect(expected == Self.inMemory(version, reader, happening.commands), "\(version.rawValue)")
            }
        }
    }

    private static let preparation = [
        ["FLUSHALL"], ["XADD", "s", "100-0", "a", "1"], ["XGROUP", "CREATE", "s", "g", "$"],
        ["XGROUP", "CREATECONSUMER", "s", "g", "c"], ["XADD", "other", "1-0", "a", "1"],
    ]

    /// The replies to the commands, whether the reader is still blocked after them, and the reply that it gets in the
    /// end.
    private static func onServer(
        _ server: TestServer,
        _ reader: [String],
        _ commands: [[String]]
    ) async throws -> [RESPText] {
        let (blocked, other) = (try await RawConnection(port: server.port), try await RawConnection(port: server.port))
        blocked.send([["CLIENT", "ID"]])
        let number = await blocked.replies(1)[0].description.dropFirst()
        other.send(preparation)
        _ = await other.replies(preparation.count)
        blocked.send([reader])
        try await server.withClient { redis in
            try await eventually("the reader is blocked") { try await redis.info("clients")["blocked_clients"] == "1" }
        }
        let all = commands + [["CLIENT", "UNBLOCK", String(number)]]
        other.send(all)
        return await other.replies(all.count) + blocked.replies(1)
    }

    private static func inMemory(
        _ version: InMemoryRedis.Version,
        _ reader: [String],
        _ commands: [[String]]
    ) -> [RESPText] {
        let model = ModelServer(version)
        model.send(["CLIENT", "ID"], on: 1)
        for command in preparation { model.send(command) }
        _ = (model.replies(), model.replies(on: 1))
        model.send(reader, on: 1)
        for command in commands + [["CLIENT", "UNBLOCK", "1"]] { model.send(command) }
        return model.replies() + model.replies(on: 1)
    }
}
