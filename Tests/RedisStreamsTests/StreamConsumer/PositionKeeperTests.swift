import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// Positions that a consumer saves in Redis.
@Suite(.limitedTime) struct PositionKeeperTests {
    @Test func `A consumer loads its position, probes, and saves at intervals and at the end`() async throws {
        let transport = FakeTransport()
        let server = ScriptedServer(on: transport) { command in
            switch command.first {
            case "HMGET": array([bulk("3-0"), bulk("2")])
            case "EVALSHA" where command[1] == Script.probe.sha1: probed(last: "5-0", entries: ("1-0", "5-0"))
            case "XREAD": command.last == "3-0" ? batch(entry("4-0"), entry("5-0")) : nil
            case "EVALSHA": "-NOSCRIPT No matching script\r\n"
            default: ":2\r\n"
            }
        }
        try await transport.withClient(.patient) { redis in
            let start = StreamConsumer.Start.resume("audit")
            var messages: StreamConsumer.Iterator? = StreamConsumer(redis, stream: "orders", from: start)
                .makeAsyncIterator()
            let first = try await messages?.next()
            #expect(first?.id == id("4-0"))
            _ = try await messages?.next()
            _ = await transport.clock.advance(by: .seconds(1)) {
                _ = await server.saved(atLeast: 1)
            }
            #expect(server.commands.all.first == ["HMGET", "{orders}:position:audit", "id", "epoch"])
            let loop = Task { [messages] in
                var messages = messages
                return try await messages?.next()
            }
            messages = nil
            loop.cancel()
            _ = try await loop.value
            let saved = await server.saved(atLeast: 2)
            #expect(saved == [["4-0", "2", "save"], ["5-0", "2", "save"]])
        }
    }
}

extension ScriptedServer {
    /// The arguments of the scripts that save positions, in the order in which they came.
    fileprivate var saved: [[String]] {
        commands.all.filter { $0.first == "EVAL" }.map { Array($0.dropFirst(4)) }
    }

    /// Waits until positions were saved at least `count` times.
    fileprivate func saved(atLeast count: Int) async -> [[String]] {
        var seen = 0
        while saved.count < count { seen = await commands.wait(for: seen + 1).count }
        return saved
    }
}
