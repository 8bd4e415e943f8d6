import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// When outcomes are sent, while there is a backlog and at its end.
@Suite(.limitedTime) struct BacklogAcknowledgementTests {
    @Test func `On a backlog, an acknowledgement wakes no task, and goes with the next read`() async throws {
        let play = GroupPlay.manual()
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.startBacklog()
            try await messages.next()?.acknowledge()
            await play.clock.advance(by: .milliseconds(10))
            await play.clock.calmDown()
            #expect(!play.log.names.contains("XACK"))
            server.send(batch(entry("3-0"), entry("4-0")))
            await server.expect(acknowledge("1-0"), answer: nil)
            await server.expect(readNew(block: nil, count: 2))
            #expect(play.log.joined.contains(["XACK", "XREADGROUP"]))
            server.send(nothing + ":1\r\n" + nothing)
        }
    }

    @Test func `After a backlog, an acknowledgement does not wait for a read that blocks`() async throws {
        let play = GroupPlay.manual()
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.startBacklog()
            // The last batch of the stream was full.
            server.send(nothing + nothing)
            await server.expect(readNew(count: 2))
            try await messages.next()?.acknowledge()
            await play.expectShared(acknowledge("1-0"), answer: ":1\r\n")
            #expect(play.clock.elapsed < .milliseconds(100))
        }
    }

    @Test func `On a backlog, a failure leaves before the next read too, although that takes acknowledgements along`()
        async throws
    {
        let play = GroupPlay.manual()
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.startBacklog()
            try await messages.next()?.acknowledge()
            try await messages.next()?.retry(after: .seconds(1))
            server.send(batch(entry("3-0"), entry("4-0")))
            await server.expect(acknowledge("1-0"), answer: nil)
            await server.expect(readNew(block: nil, count: 2))
            await play.shared.expect(requeue("2-0", idle: 29_000, count: 1000), answer: "*0\r\n")
            #expect(play.clock.elapsed < .milliseconds(1), "no timer was needed")
            server.send(nothing + ":1\r\n" + nothing)
        }
    }

    @Test func `Outcomes are sent soon when reading pauses because the buffer is full`() async throws {
        let play = GroupPlay.manual { $0.prefetch = 4 }
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.startBacklog()
            try await messages.next()?.acknowledge()
            server.send(batch(entry("3-0"), entry("4-0")) + batch(entry("5-0"), entry("6-0")))
            await play.expectShared(acknowledge("1-0"), answer: ":1\r\n")
        }
    }

    @Test func `Outcomes are sent soon when reading has failed`() async throws {
        // So long that there is no second attempt.
        let play = GroupPlay.manual {
            $0.backoff.limit = .seconds(3600)
            $0.backoff.base = .seconds(3600)
        }
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.startBacklog()
            try await messages.next()?.acknowledge()
            server.send("-LOADING Redis is loading\r\n" + nothing)
            await play.expectShared(acknowledge("1-0"), answer: ":1\r\n")
        }
    }

    @Test func `Outcomes are sent when the consumer stops, and both reads end`() async throws {
        let play = GroupPlay.manual()
        try await play.running { consumer in
            let handled = Journal<String>()
            let loop = Task {
                for try await message in consumer {
                    message.acknowledge()
                    handled.record(message.name)
                }
            }
            let server = await play.startBacklog()
            _ = await handled.wait(for: 2)
            #expect(!play.log.names.contains("XACK"))
            let rest = play.serve(new: Replies())
            loop.cancel()
            try await loop.value
            await server.expectClose()
            await play.clock.advance(by: .milliseconds(1)) { _ = await rest.acknowledged(atLeast: 2) }
            #expect(rest.acknowledged == ["1-0", "2-0"])
            #expect(handled.all == ["1-0", "2-0"])
        }
    }

    @Test func `All queued acknowledgements go with a read, however many there are`() async throws {
        let play = GroupPlay {
            $0.batchSize = 1500
            $0.prefetch = 6000
        }
        let handled = Journal<String>()
        let full = (1...4).map { round in
            array([array([bulk("orders"), array((0..<1500).map { entry("\(round)-\($0)") })])])
        }
        try await play.running { consumer in
            let loop = Task { for try await message in consumer { handled.record(message.name) } }
            let server = await play.start()
            await server.expect(readNew(count: 1500), answer: full[0])
            await server.expect(readNew(block: nil, count: 1500))
            await server.expect(readNew(block: nil, count: 1500))
            _ = await handled.wait(for: 1500)
            await play.clock.calmDown()
            server.send(full[1])
            #expect(await server.nextCommand()?.count == 3 + 1000)
            #expect(await server.nextCommand()?.count == 3 + 500)
            await server.expect(readNew(block: nil, count: 1500))
            server.send(nothing + ":1000\r\n:500\r\n" + nothing)
            loop.cancel()
            try await loop.value
        }
    }
}

extension GroupPlay {
    /// With batches of two messages and manual acknowledgement.
    fileprivate static func manual(_ change: (inout GroupConsumer.Configuration) -> Void = { _ in }) -> GroupPlay {
        small {
            $0.acknowledgement = .manual
            change(&$0)
        }
    }
}
