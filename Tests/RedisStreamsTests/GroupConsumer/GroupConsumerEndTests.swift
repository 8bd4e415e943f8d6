import RedisStreamsTesting
import Testing

@testable import RedisStreams

@Suite(.limitedTime) struct GroupConsumerEndTests {
    @Test func `A loop that ends with break has acknowledged all messages but the last`() async throws {
        let play = GroupPlay()
        let server = play.serve(new: Replies(batch(entry("1-0"), entry("2-0"), entry("3-0"), entry("4-0"))))
        try await play.running { consumer in
            for try await message in consumer where message.name == "3-0" { break }
            await play.clock.advance(by: .milliseconds(1)) { _ = await server.acknowledged(atLeast: 2) }
        }
        #expect(server.acknowledged == ["1-0", "2-0"])
    }

    @Test func `A loop that ends with break keeps nothing in memory`() async throws {
        let play = GroupPlay()
        let kept = try await play.running { consumer in
            let loop = Task {
                for try await message in consumer { return WeakPending(message.batch.pending) }
                return WeakPending(nil)
            }
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0"), entry("2-0")))
            let kept = try await loop.value
            while await server.nextCommand() != nil {}
            return kept
        }
        // Until its last timer has fired.
        await play.clock.advance(by: .milliseconds(1))
        #expect(kept.pending == nil)
    }

    @Test func `Handled messages are acknowledged also if the client ends right then`() async throws {
        for _ in 0..<20 {
            let play = GroupPlay()
            let server = play.serve(new: Replies(batch(entry("1-0"), entry("2-0"), entry("3-0"))))
            try await play.running { consumer in
                for try await message in consumer where message.name == "3-0" { break }
            }
            #expect(Set(server.acknowledged) == ["1-0", "2-0"])
        }
    }

    @Test func `An acknowledgement that was sent with the last read is confirmed`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let (_, loop, _) = await play.untilAcknowledgementIsUnanswered(by: consumer)
            let rest = play.serve(new: Replies())
            loop.cancel()
            try await loop.value
            await play.clock.advance(by: .milliseconds(1)) { _ = await rest.acknowledged(atLeast: 3) }
            #expect(Set(rest.acknowledged) == ["1-0", "2-0", "3-0"])
        }
    }

    @Test func `Cancelling run ends it without an error, and handled messages are acknowledged`() async throws {
        for concurrency in [1, 3] {
            let play = GroupPlay()
            let server = play.serve(new: Replies(batch(entry("1-0"), entry("2-0"), entry("3-0"))))
            try await play.running { consumer in
                let handled = Journal<String>()
                let running = Task { try await consumer.run(concurrency: concurrency) { handled.record($0.name) } }
                _ = await handled.wait(for: 3)
                running.cancel()
                try await play.clock.advance(by: .milliseconds(1)) { await running.result }.get()
                #expect(Set(server.acknowledged) == ["1-0", "2-0", "3-0"])
            }
        }
    }

    @Test func `When run is cancelled it waits for a running handler, and acknowledges its message`() async throws {
        let play = GroupPlay()
        let server = play.serve(new: Replies(batch(entry("1-0"), entry("2-0"))))
        try await play.running { consumer in
            let started = Gate()
            let gate = Gate()
            let handled = Journal<String>()
            let running = Task {
                try await consumer.run { message in
                    started.open()
                    await gate.wait()
                    handled.record(message.name)
                }
            }
            await started.wait()
            running.cancel()
            gate.open()
            try await play.clock.advance(by: .milliseconds(1)) { await running.result }.get()
            #expect(handled.all == ["1-0"])
            #expect(server.acknowledged == ["1-0"])
        }
    }

    @Test(arguments: [true, false]) func `Cancellation ends the loop with nil, and ends the read`(
        asStream: Bool
    ) async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let loop = Task {
                if asStream {
                    for try await _ in consumer.messages {}
                } else {
                    for try await _ in consumer {}
                }
            }
            let server = await play.start()
            await server.expect(readNew())
            loop.cancel()
            try await loop.value
            await server.expectClose()
        }
    }

    @Test func `A message that a cancelled task did not get is not acknowledged`() async throws {
        let play = GroupPlay()
        let server = play.serve(new: Replies(batch(entry("1-0"), entry("2-0"))))
        try await play.running { consumer in
            let handled = Journal<String>()
            let loop = Task {
                var messages = consumer.makeAsyncIterator()
                if let first = try await messages.next() { handled.record(first.name) }
                await untilCancelled()
                for _ in 0..<3 {
                    if let more = try await messages.next() { handled.record(more.name) }
                }
            }
            _ = await handled.wait(for: 1)
            loop.cancel()
            try await loop.value
            await play.clock.advance(by: .milliseconds(1)) { _ = await server.acknowledged(atLeast: 1) }
            #expect(handled.all == ["1-0"])
        }
        #expect(server.acknowledged == ["1-0"])
    }

    @Test func `As many handlers run at the same time as allowed`() async throws {
        let play = GroupPlay()
        let entries: [String] = (1...9).map { entry("\($0)-0") }
        let server = play.serve(new: Replies(array([array([bulk("orders"), array(entries)])])))
        try await play.running { consumer in
            let started = Journal<String>()
            let gate = Gate()
            let running = Task {
                try await consumer.run(concurrency: 3) { message in
                    started.record(message.name)
                    await gate.wait()
                }
            }
            _ = await started.wait(for: 3)
            for _ in 0..<50 { await Task.yield() }
            #expect(started.all.count == 3)
            gate.open()
            #expect(Set(await started.wait(for: 9)).count == 9)
            await play.clock.advance(by: .milliseconds(1)) { _ = await server.acknowledged(atLeast: 9) }
            running.cancel()
            try await play.clock.advance(by: .milliseconds(1)) { await running.result }.get()
            #expect(server.acknowledged.count == 9)
        }
    }

    @Test func `A consumer reads no further ahead than it may`() async throws {
        let play = GroupPlay { $0.prefetch = 1 }
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0"), entry("2-0"), entry("3-0")))
            let order = Journal<String>()
            let reading = Task {
                await server.expect(acknowledge("1-0"), answer: ":1\r\n")
                order.record("read")
                await server.expect(readNew())
            }
            _ = try await messages.next()
            await play.clock.calmDown()
            order.record("one taken, two left")
            _ = try await messages.next()
            await reading.value
            #expect(order.all == ["one taken, two left", "read"])
        }
    }
}

// SAFETY: A weak reference may be read by several threads; this one is never written after it was made.
private struct WeakPending: @unchecked Sendable {
    private(set) weak var pending: PendingMessages?

    init(_ pending: PendingMessages?) {
        self.pending = pending
    }
}
