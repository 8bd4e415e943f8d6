import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// Fan-out readers, and servers whose streams do not go on where they were.
@Suite(.limitedTime) struct StreamDiscontinuityTests {
    @Test func `An idle reader looks once for each read, and follows a stream that was made anew`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            let consumer = StreamConsumer(redis, stream: "orders", from: .after(id("100-0")))
            var messages = consumer.makeAsyncIterator()
            let server = await transport.nextConnection()
            await server.expectIdle(read(after: "100-0"), on: transport.clock)
            await server.expectProbe(answer: probed(last: "100-0"))
            await server.expectIdle(read(after: "100-0"), on: transport.clock)
            await server.expectProbe(answer: probed(last: "5-0"))
            await server.expect(read(after: "0-0"), answer: batch(entry("5-0")))
            let message = try await messages.next()
            #expect(message?.id == id("5-0"))
            await server.expect(read(after: "5-0"))
            #expect(consumer.counters.discontinuities == 1)
            #expect(consumer.counters.delivered == 1)
        }
    }

    @Test func `A stream that is missing is read from its beginning`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            let consumer = StreamConsumer(redis, stream: "orders", from: .beginning)
            let messages = consumer.makeAsyncIterator()
            let server = await transport.nextConnection()
            await server.expect(read(after: "0-0"), answer: batch(entry("7-0")))
            await server.expectIdle(read(after: "7-0"), on: transport.clock)
            await server.expectProbe(answer: "$-1\r\n")
            await server.expectIdle(read(after: "0-0"), on: transport.clock)
            await server.expect(read(after: "0-0"))
            #expect(consumer.counters.discontinuities == 1)
            _ = messages
        }
    }

    @Test func `Without scripts, a missing stream is believed only if the key is missing, too`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            let consumer = StreamConsumer(redis, stream: "orders", from: .beginning)
            let messages = consumer.makeAsyncIterator()
            let server = await transport.nextConnection()
            await server.expect(read(after: "0-0"), answer: batch(entry("7-0")))
            await server.expectIdle(read(after: "7-0"), on: transport.clock)
            await server.expectProbe(answer: "-NOPERM this user has no permissions\r\n", role: "-NOPERM this user\r\n")
            await server.expect(["XLEN", "orders"], answer: ":0\r\n")
            await server.expect(look, answer: "-ERR no such key\r\n")
            await server.expect(["EXISTS", "orders"], answer: ":0\r\n")
            await server.expectIdle(read(after: "0-0"), on: transport.clock)
            await server.expect(read(after: "0-0"))
            #expect(consumer.counters.discontinuities == 1)
            _ = messages
        }
    }

    @Test func `Without scripts, entries are looked at only when something has changed, and else rarely`() async throws
    {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            let consumer = StreamConsumer(redis, stream: "orders", from: .after(id("7-0")))
            let messages = consumer.makeAsyncIterator()
            let server = await transport.nextConnection()
            let info = streamInfo(last: "7-0", entries: ("7-0", "7-0"))
            await server.expectIdle(read(after: "7-0"), on: transport.clock)
            await server.expectProbe(answer: "-NOPERM this user has no permissions\r\n", role: "-NOPERM this user\r\n")
            for round in 0...13 {
                await server.expect(["XLEN", "orders"], answer: ":1\r\n")
                if round % 13 == 0 { await server.expect(look, answer: info) }
                await server.expectIdle(read(after: "7-0"), on: transport.clock)
            }
            await server.expect(["XLEN", "orders"], answer: ":0\r\n")
            await server.expect(look, answer: streamInfo(last: "7-0", length: 0))
            await server.expect(read(after: "7-0"))
            #expect(consumer.counters.discontinuities == 0)
            _ = messages
        }
    }

    @Test func `A server that cannot be asked is not asked again`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            let consumer = StreamConsumer(redis, stream: "orders", from: .after(id("7-0")))
            let messages = consumer.makeAsyncIterator()
            let server = await transport.nextConnection()
            await server.expectIdle(read(after: "7-0"), on: transport.clock)
            await server.expectProbe(answer: "-ERR unknown command\r\n", role: "-ERR unknown command\r\n")
            await server.expect(["XLEN", "orders"], answer: "-ERR unknown command\r\n")
            await server.expect(look, answer: "-ERR unknown command 'XINFO'\r\n")
            await server.expect(["EXISTS", "orders"], answer: ":1\r\n")
            await server.expect(look, answer: "-ERR unknown command 'XINFO'\r\n")
            await server.expectIdle(read(after: "7-0"), on: transport.clock)
            await server.expect(read(after: "7-0"))
            #expect(consumer.counters.discontinuities == 0)
            _ = messages
        }
    }

    @Test func `Of an entry that was lost with a server is told, and what was seen is left out`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            let consumer = StreamConsumer(redis, stream: "orders", from: .beginning)
            var messages = consumer.makeAsyncIterator()
            let server = await transport.nextConnection()
            await server.expect(read(after: "0-0"), answer: batch(entry("20000-0"), entry("25000-0")))
            await server.expectIdle(read(after: "25000-0"), on: transport.clock)
            await server.expectProbe(
                answer: probed(last: "25009-0", entries: ("20000-0", "25009-0"), length: 3, added: 3)
            )
            let closer = probed(
                last: "25009-0",
                entries: ("20000-0", "25009-0"),
                length: 3,
                added: 3,
                absent: ["25000-0"]
            )
            await server.expect(probe("orders", "25000-0"), answer: closer)
            let all = batch(entry("20000-0"), entry("24900-0"), entry("25009-0"))
            await server.expect(read(after: "14999-\(UInt64.max)"), answer: all)
            var seen: [StreamID] = []
            for _ in 0..<4 { if let message = try await messages.next() { seen.append(message.id) } }
            #expect(seen == ids("20000-0", "25000-0", "24900-0", "25009-0"))
            await server.expect(read(after: "25009-0"))
        }
    }

    @Test func `Interruptions and their ends are told`() async throws {
        let transport = FakeTransport()
        let log = LogJournal(of: "consumer interrupted")
        let redis = try transport.makeClient(.patient, logger: log.logger)
        try await redis.running { redis in
            let consumer = StreamConsumer(redis, stream: "orders", from: .beginning)
            let messages = consumer.makeAsyncIterator()
            let server = await transport.nextConnection()
            await server.expect(read(after: "0-0"))
            server.send("-LOADING Redis is loading the dataset in memory\r\n")
            _ = await log.journal.wait(for: 1)
            let answering = Task { await server.expect(read(after: "0-0"), answer: batch(entry("1-0"))) }
            await transport.clock.advance(by: .milliseconds(50)) { await answering.value }
            await server.expectProbe(answer: probed(last: "1-0"))
            await server.expect(read(after: "1-0"))
            var events = consumer.events.makeAsyncIterator()
            guard case .ready = await events.next() else { return #expect(Bool(false)) }
            guard case .interrupted(let error, _) = await events.next() else { return #expect(Bool(false)) }
            #expect(error.code == .loading)
            guard case .reconnected = await events.next() else { return #expect(Bool(false)) }
            _ = messages
        }
    }

    @Test func `A server that was the master and is a replica is connected to anew`() async throws {
        let transport = FakeTransport()
        let log = LogJournal(of: "consumer interrupted")
        let redis = try transport.makeClient(.patient, logger: log.logger)
        try await redis.running { redis in
            let messages = StreamConsumer(redis, stream: "orders", from: .after(id("7-0"))).makeAsyncIterator()
            let server = await transport.nextConnection()
            await server.expectIdle(read(after: "7-0"), on: transport.clock)
            await server.expectProbe(answer: probed(last: "7-0"))
            await server.expectIdle(read(after: "7-0"), on: transport.clock)
            await server.expectProbe(answer: probed(last: "7-0"), role: replicaRole)
            // The connection ends behind the read that has left.
            await server.expectIdle(read(after: "7-0"), on: transport.clock)
            await server.expectClose()
            _ = await log.journal.wait(for: 1)
            await transport.clock.advance(by: .milliseconds(50))
            let next = await transport.nextConnection()
            await next.expectProbe(answer: probed(last: "7-0"))
            await next.expect(read(after: "7-0"))
            _ = messages
        }
    }

    @Test func `A reader that has begun on a replica stays there`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            let messages = StreamConsumer(redis, stream: "orders", from: .after(id("7-0"))).makeAsyncIterator()
            let server = await transport.nextConnection()
            for _ in 0..<3 {
                await server.expectIdle(read(after: "7-0"), on: transport.clock)
                await server.expectProbe(answer: probed(last: "7-0"), role: replicaRole)
            }
            await server.expect(read(after: "7-0"))
            _ = messages
        }
    }

    @Test func `A reader that is never idle looks once in the time of a read`() async throws {
        let transport = FakeTransport()
        let redis = try transport.makeClient(.patient)
        try await redis.running { redis in
            let messages = StreamConsumer(redis, stream: "orders", from: .beginning).makeAsyncIterator()
            let server = await transport.nextConnection()
            await server.expect(read(after: "0-0"))
            await transport.clock.advance(by: .seconds(5))
            server.send(batch(entry("1-0")))
            await server.expectProbe(answer: probed(last: "1-0"))
            await server.expect(read(after: "1-0"), answer: batch(entry("2-0")))
            await server.expect(read(after: "2-0"))
            _ = messages
        }
    }
}

/// Positions that are kept in Redis.
@Suite(.limitedTime) struct PositionKeeperTests {
    @Test func `A position is asked for, looked at, and kept at intervals and at the end`() async throws {
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
    /// The arguments of the scripts that keep positions, in the order in which they came.
    fileprivate var saved: [[String]] {
        commands.all.filter { $0.first == "EVAL" }.map { Array($0.dropFirst(4)) }
    }

    /// Waits until positions have been kept so often.
    fileprivate func saved(atLeast count: Int) async -> [[String]] {
        var seen = 0
        while saved.count < count { seen = await commands.wait(for: seen + 1).count }
        return saved
    }
}

private let look = ["XINFO", "STREAM", "orders"]

private func read(after id: String) -> [String] {
    ["XREAD", "COUNT", "100", "BLOCK", "5000", "STREAMS", "orders", id]
}
