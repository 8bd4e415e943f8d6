import RedisStreamsTesting
import Testing

@testable import RedisStreams

@Suite(.limitedTime) struct StreamProducerTests {
    @Test func `A batch of batchCount messages is sent at once, in one write`() async throws {
        try await producing({ $0.batchCount = 3 }) { producer, server, log in
            let receipts = try await submit(0..<3, to: producer)
            let line = await server()
            for number in 0..<3 { await line.expect(xadd(number), answer: bulk("\(number + 1)-0")) }
            for (number, receipt) in receipts.enumerated() {
                let id = try await receipt.id()
                #expect("\(id)" == "\(number + 1)-0")
            }
            #expect(log.joined == [["XADD", "XADD", "XADD"]])
            #expect(log.base.clock.elapsed == .zero)
        }
    }

    @Test func `A batch that reaches batchBytes is sent at once`() async throws {
        try await producing({ $0.batchBytes = 4 }) { producer, server, log in
            _ = try await submit(0..<2, to: producer)
            let line = await server()
            for number in 0..<2 { await line.expect(xadd(number), answer: bulk("1-\(number)")) }
            #expect(log.base.clock.elapsed == .zero)
        }
    }

    @Test func `A batch that is not full is sent after the delay`() async throws {
        try await producing({ $0.delay = .milliseconds(10) }) { producer, server, log in
            _ = try await submit(0..<2, to: producer)
            let line = await log.base.clock.advance(by: .milliseconds(1)) { await server() }
            for number in 0..<2 { await line.expect(xadd(number), answer: bulk("1-\(number)")) }
            #expect(log.base.clock.elapsed >= .milliseconds(10))
            #expect(log.joined == [["XADD", "XADD"]])
        }
    }

    @Test func `With a delay of zero a single message is sent at once`() async throws {
        try await producing({ $0.delay = .zero }) { producer, server, log in
            _ = try await submit(0..<1, to: producer)
            let line = await server()
            await line.expect(xadd(0), answer: bulk("1-0"))
            #expect(log.base.clock.elapsed == .zero)
        }
    }

    @Test func `Each message has its own outcome`() async throws {
        try await producing({ $0.batchCount = 4 }) { producer, server, _ in
            let receipts = try await submit(0..<4, to: producer)
            let line = await server()
            await line.expect(xadd(0), answer: bulk("1-0"))
            await line.expect(xadd(1), answer: "-OOM command not allowed\r\n")
            await line.expect(xadd(2), answer: "$-1\r\n")
            await line.expect(xadd(3), answer: bulk("2-0"))
            let first = try await receipts[0].id()
            let last = try await receipts[3].id()
            #expect([first, last] == [id("1-0"), id("2-0")])
            let full = await caught { try await receipts[1].id() }
            #expect(full?.code == .outOfMemory)
            #expect(full?.command == "XADD")
            let none = await caught { try await receipts[2].id() }
            #expect(none?.code == .unexpectedReply)
            // A caller can read the id more than once.
            let again = try await receipts[0].id()
            #expect(again == first)
        }
    }

    @Test func `A flush ends the delay, and does not wait for messages that are submitted meanwhile`() async throws {
        try await producing({ _ in }) { producer, server, log in
            _ = try await submit(0..<2, to: producer)
            let flushing = Task { try await producer.flush() }
            let line = await server()
            for number in 0..<2 { await line.expect(xadd(number)) }
            _ = try await submit(2..<3, to: producer)
            line.send(bulk("1-0") + bulk("2-0"))
            try await flushing.value
            #expect(log.base.clock.elapsed == .zero)
            let finishing = Task { try await producer.finish() }
            await line.expect(xadd(2), answer: bulk("3-0"))
            try await finishing.value
        }
    }

    @Test func `If the buffer is full, messages wait until there is room`() async throws {
        try await producing({ $0.bufferCount = 2 }) { producer, server, log in
            _ = try await submit(0..<2, to: producer)
            let order = Journal<String>()
            let third = Task {
                let receipt = try await producer.submit(fields(2))
                order.record("accepted")
                return receipt
            }
            let line = await server()
            for number in 0..<2 { await line.expect(xadd(number)) }
            for _ in 0..<50 {
                await log.base.clock.settle()
                await Task.yield()
            }
            order.record("two sent")
            line.send(bulk("1-0") + bulk("2-0"))
            let receipt = try await third.value
            await log.base.clock.advance(by: .seconds(1)) { await line.expect(xadd(2), answer: bulk("3-0")) }
            let id = try await receipt.id()
            #expect("\(id)" == "3-0")
            #expect(order.all == ["two sent", "accepted"])
        }
    }

    @Test func `A message that is cancelled while it waits for room is not sent`() async throws {
        try await producing({ $0.bufferCount = 1 }) { producer, server, log in
            _ = try await submit(0..<1, to: producer)
            let waiting = Task { await caught { try await producer.submit(fields(1)) } }
            let line = await server()
            await line.expect(xadd(0))
            waiting.cancel()
            let error = await waiting.value
            #expect(error?.code == .cancelled)
            line.send(bulk("1-0"))
            _ = try await producer.submit(fields(2))
            await log.base.clock.advance(by: .seconds(1)) { await line.expect(xadd(2), answer: bulk("2-0")) }
        }
    }

    @Test func `After a lost connection a message may have been added, and no message is sent twice`() async throws {
        try await producing({ $0.batchCount = 2 }) { producer, server, _ in
            let receipts = try await submit(0..<2, to: producer)
            let line = await server()
            await line.expect(xadd(0), answer: bulk("1-0"))
            await line.expect(xadd(1))
            line.close()
            let first = try await receipts[0].id()
            #expect("\(first)" == "1-0")
            let error = await caught { try await receipts[1].id() }
            #expect(error?.code == .connectionClosed)
            #expect(error?.mayHaveExecuted == true)
            _ = try await submit(2..<4, to: producer)
            let next = await server()
            for number in 2..<4 { await next.expect(xadd(number), answer: bulk("2-\(number)")) }
        }
    }

    @Test func `Finishing sends the messages that are left, and waits for their replies`() async throws {
        try await producing({ $0.delay = .seconds(60) }) { producer, server, log in
            let receipts = try await submit(0..<2, to: producer)
            let finishing = Task { try await producer.finish() }
            let line = await server()
            for number in 0..<2 { await line.expect(xadd(number), answer: bulk("1-\(number)")) }
            try await finishing.value
            #expect(log.base.clock.elapsed == .zero)
            for receipt in receipts { _ = try await receipt.id() }
            let error = await caught { try await producer.submit(fields(3)) }
            #expect(error?.code == .clientShutDown)
        }
    }

    @Test func `A producer without references sends the messages that are left`() async throws {
        let transport = FakeTransport()
        try await transport.withClient(.patient) { redis in
            var receipt: StreamProducer.Receipt?
            do {
                let producer = try StreamProducer(redis, stream: "orders", configuration: .slow())
                receipt = try await producer.submit(fields(0))
            }
            let line = await transport.nextConnection()
            await line.expect(xadd(0), answer: bulk("1-0"))
            let id = try await receipt?.id()
            #expect(id == RedisStreamsTests.id("1-0"))
        }
    }

    @Test func `A message that no server would accept is not sent`() async throws {
        try await producing({ $0.delay = .zero }) { producer, server, _ in
            let error = await caught { try await producer.submit([:]) }
            #expect(error?.code == .invalidArgument)
            _ = try await producer.submit(fields(0))
            await server().expect(xadd(0), answer: bulk("1-0"))
        }
    }

    @Test func `If the client ends, every message fails with an error`() async throws {
        let transport = FakeTransport()
        let redis = try transport.makeClient(.patient)
        let running = Task { try await redis.run() }
        let producer = try StreamProducer(redis, stream: "orders", configuration: .slow { $0.bufferCount = 2 })
        let receipts = try await submit(0..<1, to: producer)
        running.cancel()
        try await running.value
        for receipt in receipts {
            let error = await caught { try await receipt.id() }
            #expect(error?.code == .clientShutDown || error?.code == .cancelled)
        }
        let late = await caught { try await producer.send(fields(5)) }
        #expect(late?.code == .clientShutDown)
        _ = await caught { try await producer.finish() }
    }

    @Test func `Many concurrent tasks each get their own id`() async throws {
        try await producing({
            $0.batchCount = 16
            $0.bufferCount = 40
            $0.delay = .zero
        }) { producer, server, _ in
            let sending = (0..<300).map { number in Task { try await producer.send(fields(number)) } }
            let line = await server()
            for _ in sending {
                guard let command = await line.nextCommand(), let text = command.last else { break }
                line.send(bulk("\(text)-7"))
            }
            for (number, task) in sending.enumerated() {
                let id = try await task.value
                #expect("\(id)" == "\(number)-7")
            }
        }
    }
}

/// Passes a producer with a delay of a minute to `body`, unless `change` sets another delay.
private func producing(
    _ change: (inout StreamProducer.Configuration) -> Void,
    _ body: (StreamProducer, @escaping @Sendable () async -> FakeConnection, WriteLog) async throws -> Void
) async throws {
    let log = WriteLog()
    let client = try log.makeClient(.patient)
    let configuration = StreamProducer.Configuration.slow(change)
    try await client.running { client in
        let producer = try StreamProducer(client, stream: "orders", configuration: configuration)
        try await body(producer, { await log.base.nextConnection() }, log)
    }
}

extension StreamProducer.Configuration {
    fileprivate static func slow(_ change: (inout Self) -> Void = { _ in }) -> Self {
        var configuration = Self()
        configuration.delay = .seconds(60)
        change(&configuration)
        return configuration
    }
}

private func fields(_ number: Int) -> StreamFieldsToAdd { ["n": .text("\(number)")] }

private func xadd(_ number: Int) -> [String] { ["XADD", "orders", "*", "n", "\(number)"] }

private func submit(_ numbers: Range<Int>, to producer: StreamProducer) async throws -> [StreamProducer.Receipt] {
    var receipts: [StreamProducer.Receipt] = []
    for number in numbers { receipts.append(try await producer.submit(fields(number))) }
    return receipts
}
