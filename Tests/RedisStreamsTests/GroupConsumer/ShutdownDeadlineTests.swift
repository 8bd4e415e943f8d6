import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// A server that does not answer cannot delay the end of a consumer.
@Suite(.limitedTime) struct ShutdownDeadlineTests {
    @Test func `An acknowledgement without a reply is reported within two seconds after the deadline`() async throws {
        let play = GroupPlay { $0.shutdownDeadline = .seconds(5) }
        try await play.running { consumer in
            let handled = Journal<String>()
            let ended = Journal<Bool>()
            let running = Task {
                try await consumer.run { handled.record($0.name) }
                ended.record(true)
            }
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0")))
            _ = await handled.wait(for: 1)
            await play.expectShared(acknowledge("1-0"))
            running.cancel()
            for _ in 0..<70 where ended.all.isEmpty {
                await play.clock.advance(by: .milliseconds(100))
                await play.clock.calmDown()
            }
            #expect(ended.all == [true])
            let unsettled = play.events.all.compactMap { event -> [StreamID]? in
                if case .unsettled(let ids) = event { ids } else { nil }
            }
            #expect(unsettled == [[StreamID(milliseconds: 1)]])
            play.answerTheRest()
            try await running.value
        }
    }

    @Test func `A consumer that ends with everything settled reports nothing`() async throws {
        let play = GroupPlay()
        let server = play.serve(new: Replies(batch(entry("1-0"))))
        try await play.running { consumer in
            let running = Task { try await consumer.run { _ in } }
            await play.clock.advance(by: .milliseconds(1)) { _ = await server.acknowledged(atLeast: 1) }
            running.cancel()
            try await play.clock.advance(by: .milliseconds(1)) { await running.result }.get()
        }
        let isTold = play.events.all.contains { event in
            if case .unsettled = event { true } else { false }
        }
        #expect(!isTold)
    }

    @Test(arguments: [true, false]) func `The end waits for a handler that ignores its cancellation`(
        answers: Bool
    )
        async throws
    {
        let play = GroupPlay { $0.shutdownDeadline = .seconds(5) }
        try await play.running { consumer in
            let gate = Gate()
            let begun = Gate()
            let ended = Journal<Bool>()
            let running = Task {
                try await consumer.run { _ in
                    begun.open()
                    await gate.wait()
                }
                ended.record(true)
            }
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0")))
            await begun.wait()
            running.cancel()
            for _ in 0..<20 {
                await play.clock.advance(by: .seconds(1))
                await play.clock.calmDown()
            }
            #expect(ended.all.isEmpty)
            if answers { play.answerTheRest() }
            gate.open()
            for _ in 0..<20 where ended.all.isEmpty {
                await play.clock.advance(by: .milliseconds(100))
                await play.clock.calmDown()
            }
            #expect(ended.all == [true])
            #expect(consumer.counters.acknowledged == (answers ? 1 : 0))
            if !answers { play.answerTheRest() }
            try await running.value
        }
    }
}
