import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// How a stream consumer reads while there is a backlog.
@Suite(.limitedTime) struct StreamBacklogTests {
    @Test func `The next read is sent before the batch is delivered, and asks for more`() async throws {
        let log = WriteLog()
        let client = try log.makeClient(.patient)
        try await client.running { redis in
            let buffer = MessageBuffer<MessageBatch>(prefetch: 10)
            let engine = StreamEngine(consumer: small(redis), buffer: buffer)
            let running = Task { await engine.run() }
            let reading = Task { try await buffer.next() }
            let server = await log.base.nextConnection()
            await server.expect(read(after: "0-0", count: 2))
            while buffer.waitingCount == 0 { await Task.yield() }
            let waiting = Journal<Int>()
            log.onWrite { _ in waiting.record(buffer.waitingCount) }
            server.send(batch(entry("1-0"), entry("2-0")))
            await server.expect(read(after: "2-0", count: 4))
            #expect(waiting.all == [1], "while the reader still waits")
            let first = try await reading.value
            #expect(first?.id == id("1-0"))
            buffer.stop()
            await running.value
        }
    }

    @Test func `COUNT grows with full batches, and shrinks with small ones and with large messages`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            let messages = small(redis).makeAsyncIterator()
            let server = await transport.nextConnection()
            await server.expect(read(after: "0-0", count: 2), answer: batch(entry("1-0"), entry("2-0")))
            let four = batch(entry("3-0"), entry("4-0"), entry("5-0"), entry("6-0"))
            await server.expect(read(after: "2-0", count: 4), answer: four)
            await server.expect(read(after: "6-0", count: 5), answer: batch(entry("7-0")))
            await server.expect(read(after: "7-0", count: 2), answer: batch(entry("8-0"), entry("9-0")))
            let large = String(repeating: "x", count: 600)
            await server.expect(read(after: "9-0", count: 4), answer: batch(entry("10-0", ["field", large])))
            await server.expectIdle(read(after: "10-0", count: 1), on: transport.clock)
            await server.expectProbe(answer: probed(last: "10-0"))
            await server.expect(read(after: "10-0", count: 1))
            _ = messages
        }
    }

    @Test func `Large messages in the buffer stop the reading until they are delivered`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            var messages = small(redis).makeAsyncIterator()
            let server = await transport.nextConnection()
            let large = String(repeating: "x", count: 1000)
            let two = batch(entry("1-0", ["field", large]), entry("2-0", ["field", large]))
            await server.expect(read(after: "0-0", count: 2), answer: two)
            // This read was sent while the buffer still had room.
            await server.expect(read(after: "2-0", count: 1), answer: batch(entry("3-0", ["field", large])))
            let order = Journal<String>()
            let reading = Task {
                await server.expect(read(after: "3-0", count: 1))
                order.record("read")
            }
            _ = try await messages.next()
            await transport.clock.calmDown()
            order.record("the batch has one message left")
            _ = try await messages.next()
            await reading.value
            #expect(order.all == ["the batch has one message left", "read"])
        }
    }

    @Test func `A lost connection during a backlog loses no message and repeats none`() async throws {
        let transport = FakeTransport()
        let log = LogJournal(of: "consumer interrupted")
        let redis = try transport.makeClient(.patient, logger: log.logger)
        try await redis.running { redis in
            var messages = small(redis).makeAsyncIterator()
            let server = await transport.nextConnection()
            await server.expect(read(after: "0-0", count: 2), answer: batch(entry("1-0"), entry("2-0")))
            await server.expect(read(after: "2-0", count: 4))
            server.close()
            _ = await log.journal.wait(for: 1)
            await transport.clock.advance(by: .milliseconds(50))
            let next = await transport.nextConnection()
            await next.expectProbe(answer: probed(last: "3-0", entries: ("1-0", "3-0")))
            await next.expect(read(after: "2-0", count: 4), answer: batch(entry("3-0")))
            var got: [StreamID] = []
            for _ in 0..<3 { if let message = try await messages.next() { got.append(message.id) } }
            #expect(got == ids("1-0", "2-0", "3-0"))
        }
    }

    /// A consumer that reads batches of 2 to 5 messages and 500 bytes.
    private func small(_ redis: RedisClient) -> StreamConsumer {
        var configuration = StreamConsumer.Configuration()
        configuration.batchSize = 2
        configuration.maxBatchSize = 5
        configuration.prefetchBytes = 2000
        return StreamConsumer(redis, stream: "orders", from: .beginning, configuration: configuration)
    }
}

private func read(after id: String, count: Int) -> [String] {
    ["XREAD", "COUNT", "\(count)", "BLOCK", "5000", "STREAMS", "orders", id]
}
