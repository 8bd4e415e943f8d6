import RedisStreamsTesting
import Testing

@testable import RedisStreams

@Suite(.limitedTime) struct StreamConsumerTests {
    @Test func `The last id is asked for once, and reading continues from the position`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            var messages = StreamConsumer(redis, stream: "orders", from: .latest).makeAsyncIterator()
            let server = await transport.nextConnection()
            await server.expect(probe(), answer: probed(last: "7-3"))
            await server.expectIdle(read(after: "7-3"), on: transport.clock)
            await server.expectProbe(answer: probed(last: "7-3"))
            await server.expect(read(after: "7-3"), answer: batch(entry("8-0"), entry("9-0")))
            await server.expect(read(after: "9-0"))
            let first = try await messages.next()
            let second = try await messages.next()
            #expect([first?.id, second?.id] == [id("8-0"), id("9-0")])
            server.send(batch(entry("10-0")))
            let third = try await messages.next()
            #expect(third?.id == id("10-0"))
            await server.expect(read(after: "10-0"))
        }
    }

    @Test func `A stream that does not exist yet is read from its beginning`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            let messages = StreamConsumer(redis, stream: "orders").makeAsyncIterator()
            let server = await transport.nextConnection()
            await server.expect(probe(), answer: "$-1\r\n")
            await server.expect(read(after: "0-0"))
            _ = messages
        }
    }

    @Test func `After a lost connection it continues from its position`() async throws {
        let transport = FakeTransport()
        let log = LogJournal(of: "consumer interrupted")
        let redis = try transport.makeClient(.patient, logger: log.logger)
        try await redis.running { redis in
            var messages = StreamConsumer(redis, stream: "orders", from: .beginning).makeAsyncIterator()
            let server = await transport.nextConnection()
            await server.expect(read(after: "0-0"), answer: batch(entry("5-0")))
            await server.expect(read(after: "5-0"))
            server.send("*1\r\n*2\r\n")
            server.close()
            _ = await log.journal.wait(for: 1)
            await transport.clock.advance(by: .milliseconds(50))
            let next = await transport.nextConnection()
            await next.expectProbe(answer: probed(last: "5-0"))
            await next.expect(read(after: "5-0"), answer: batch(entry("6-0")))
            let first = try await messages.next()
            let second = try await messages.next()
            #expect([first?.id, second?.id] == [id("5-0"), id("6-0")])
        }
    }

    @Test func `The position of latest stays when the connection is lost before the first message`() async throws {
        let transport = FakeTransport()
        let log = LogJournal(of: "consumer interrupted")
        let redis = try transport.makeClient(.patient, logger: log.logger)
        try await redis.running { redis in
            let messages = StreamConsumer(redis, stream: "orders", from: .latest).makeAsyncIterator()
            let server = await transport.nextConnection()
            await server.expect(probe(), answer: probed(last: "7-3"))
            await server.expect(read(after: "7-3"))
            server.close()
            _ = await log.journal.wait(for: 1)
            await transport.clock.advance(by: .milliseconds(50))
            let next = await transport.nextConnection()
            await next.expectProbe(answer: probed(last: "7-3"))
            await next.expect(read(after: "7-3"))
            _ = messages
        }
    }

    @Test func `A read that takes too long times out and is sent again`() async throws {
        let transport = FakeTransport()
        let log = LogJournal(of: "consumer interrupted")
        let redis = try transport.makeClient(logger: log.logger)
        try await redis.running { redis in
            let messages = StreamConsumer(redis, stream: "orders", from: .beginning).makeAsyncIterator()
            let server = await transport.nextConnection()
            await server.expect(read(after: "0-0"))
            // BLOCK and the timeout of every command.
            await transport.clock.advance(by: .seconds(15))
            await server.expectClose()
            _ = await log.journal.wait(for: 1)
            await transport.clock.advance(by: .milliseconds(50))
            let next = await transport.nextConnection()
            await next.expect(read(after: "0-0"))
            _ = messages
        }
    }

    @Test func `It reads no further ahead than prefetch allows`() async throws {
        var configuration = StreamConsumer.Configuration()
        configuration.prefetch = 1
        let transport = FakeTransport()
        try await transport.withClient { [configuration] redis in
            let consumer = StreamConsumer(redis, stream: "orders", from: .beginning, configuration: configuration)
            var messages = consumer.makeAsyncIterator()
            let server = await transport.nextConnection()
            let three = batch(entry("1-0"), entry("2-0"), entry("3-0"))
            await server.expect(read(after: "0-0"), answer: three)
            let order = Journal<String>()
            let reading = Task {
                await server.expect(read(after: "3-0"))
                order.record("read")
            }
            _ = try await messages.next()
            for _ in 0..<50 {
                await transport.clock.settle()
                await Task.yield()
            }
            order.record("one delivered, two in the buffer")
            _ = try await messages.next()
            await reading.value
            #expect(order.all == ["one delivered, two in the buffer", "read"])
        }
    }

    @Test func `Several streams are read by one command, each from its own position`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            let consumer = StreamConsumer(redis, streams: ["a": .beginning, "b": .after(id("4-0"))])
            var messages = consumer.makeAsyncIterator()
            let server = await transport.nextConnection()
            let command: [String] = ["XREAD", "COUNT", "100", "BLOCK", "5000", "STREAMS", "a", "b"]
            await server.expect(command + ["0-0", "4-0"], answer: batch(of: "b", entry("5-0")))
            await server.expect(command + ["0-0", "5-0"])
            let first = try await messages.next()
            #expect(first?.stream == "b")
        }
    }

    @Test func `A key of another type ends the loop, after the messages that were read before`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            var messages = StreamConsumer(redis, stream: "orders", from: .beginning).makeAsyncIterator()
            let server = await transport.nextConnection()
            await server.expect(read(after: "0-0"), answer: batch(entry("1-0")))
            await server.expect(read(after: "1-0"), answer: "-WRONGTYPE Operation against a key\r\n")
            let first = try await messages.next()
            #expect(first?.id == id("1-0"))
            let error = await caught { try await messages.next() }
            #expect(error?.code == .wrongType)
            let end = try await messages.next()
            #expect(end == nil)
        }
    }

    @Test func `An unreachable server ends the loop without a wait`() async throws {
        let transport = FakeTransport()
        for _ in 0..<1000 { transport.refuseNextConnection() }
        var configuration = RedisClient.Configuration()
        configuration.acquireTimeout = .milliseconds(1)
        try await transport.withClient(configuration) { redis in
            let consumer = StreamConsumer(redis, stream: "orders", from: .beginning)
            let error = await transport.clock.advance(by: .milliseconds(1)) {
                await caught { for try await _ in consumer {} }
            }
            #expect(error?.code == .connectionRefused)
        }
    }

    @Test(arguments: [true, false]) func `Cancellation ends the loop, and the read on the server`(
        asStream: Bool
    ) async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            let consumer = StreamConsumer(redis, stream: "orders", from: .beginning)
            let loop = Task {
                if asStream {
                    for try await _ in consumer.messages {}
                } else {
                    for try await _ in consumer {}
                }
            }
            let server = await transport.nextConnection()
            await server.expect(read(after: "0-0"))
            loop.cancel()
            try await loop.value
            await server.expectClose()
        }
    }

    @Test func `Leaving the loop ends the read on the server`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            let loop = Task {
                for try await message in StreamConsumer(redis, stream: "orders", from: .beginning) {
                    return message.id
                }
                return .zero
            }
            let server = await transport.nextConnection()
            await server.expect(read(after: "0-0"), answer: batch(entry("1-0")))
            let last = try await loop.value
            #expect(last == id("1-0"))
            // The loop may have ended before the next read was sent.
            while let command = await server.nextCommand() { #expect(command.first == "XREAD") }
        }
    }

    @Test func `Invalid arguments fail before anything is sent`() async throws {
        let redis = try FakeTransport().makeClient()
        var configuration = StreamConsumer.Configuration()
        configuration.batchSize = 0
        let consumers = [
            StreamConsumer(redis, streams: [:]),
            StreamConsumer(redis, stream: "orders", configuration: configuration),
        ]
        let codes: [RedisError.Code] = [.invalidArgument, .invalidConfiguration]
        for (consumer, code) in zip(consumers, codes) {
            let error = await caught { for try await _ in consumer {} }
            #expect(error?.code == code)
        }
    }
}

private func read(after id: String) -> [String] {
    ["XREAD", "COUNT", "100", "BLOCK", "5000", "STREAMS", "orders", id]
}
