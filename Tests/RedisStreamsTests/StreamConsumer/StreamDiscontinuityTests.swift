import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// Stream consumers whose streams no longer continue from the position.
@Suite(.limitedTime) struct StreamDiscontinuityTests {
    @Test func `An idle consumer probes once after each read, and follows a recreated stream`() async throws {
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

    @Test func `Without scripts, a stream counts as missing only if EXISTS says so, too`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            let consumer = StreamConsumer(redis, stream: "orders", from: .beginning)
            let messages = consumer.makeAsyncIterator()
            let server = await transport.nextConnection()
            await server.expect(read(after: "0-0"), answer: batch(entry("7-0")))
            await server.expectIdle(read(after: "7-0"), on: transport.clock)
            await server.expectProbe(answer: "-NOPERM this user has no permissions\r\n", role: "-NOPERM this user\r\n")
            await server.expect(["XLEN", "orders"], answer: ":0\r\n")
            await server.expect(streamInfoCommand, answer: "-ERR no such key\r\n")
            await server.expect(["EXISTS", "orders"], answer: ":0\r\n")
            await server.expectIdle(read(after: "0-0"), on: transport.clock)
            await server.expect(read(after: "0-0"))
            #expect(consumer.counters.discontinuities == 1)
            _ = messages
        }
    }

    @Test func `Without scripts, a probe asks for entries when something has changed, and else rarely`() async throws {
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
                if round % 13 == 0 { await server.expect(streamInfoCommand, answer: info) }
                await server.expectIdle(read(after: "7-0"), on: transport.clock)
            }
            await server.expect(["XLEN", "orders"], answer: ":0\r\n")
            await server.expect(streamInfoCommand, answer: streamInfo(last: "7-0", length: 0))
            await server.expect(read(after: "7-0"))
            #expect(consumer.counters.discontinuities == 0)
            _ = messages
        }
    }

    @Test func `A consumer does not ask again for commands that the server refuses`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            let consumer = StreamConsumer(redis, stream: "orders", from: .after(id("7-0")))
            let messages = consumer.makeAsyncIterator()
            let server = await transport.nextConnection()
            await server.expectIdle(read(after: "7-0"), on: transport.clock)
            await server.expectProbe(answer: "-ERR unknown command\r\n", role: "-ERR unknown command\r\n")
            await server.expect(["XLEN", "orders"], answer: "-ERR unknown command\r\n")
            await server.expect(streamInfoCommand, answer: "-ERR unknown command 'XINFO'\r\n")
            await server.expect(["EXISTS", "orders"], answer: ":1\r\n")
            await server.expect(streamInfoCommand, answer: "-ERR unknown command 'XINFO'\r\n")
            await server.expectIdle(read(after: "7-0"), on: transport.clock)
            await server.expect(read(after: "7-0"))
            #expect(consumer.counters.discontinuities == 0)
            _ = messages
        }
    }

    @Test func `After a server lost an entry, the consumer goes back, and repeats no message`() async throws {
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

    @Test func `A consumer reports interruptions and reconnections`() async throws {
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

    @Test func `A consumer reconnects when its master has become a replica`() async throws {
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
            // The connection closes after the read that is in flight.
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

    @Test func `A consumer that started on a replica stays there`() async throws {
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

    @Test func `A consumer that is never idle probes once per BLOCK time`() async throws {
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

private let streamInfoCommand = ["XINFO", "STREAM", "orders"]

private func read(after id: String) -> [String] {
    ["XREAD", "COUNT", "100", "BLOCK", "5000", "STREAMS", "orders", id]
}
