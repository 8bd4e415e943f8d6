import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// How a group consumer reads while the stream has more messages than one read brings.
@Suite(.limitedTime) struct BacklogTests {
    @Test func `On a backlog two reads are in flight, sent before the batch is handed out`() async throws {
        let play = GroupPlay.small()
        try await play.running { consumer in
            let dispatcher = consumer.makeDispatcher(concurrency: 1)
            let partition = Partition(consumer, dispatcher, awaitsHandlers: true)
            let running = Task { await partition.run() }
            let reading = Task { try await dispatcher.buffer.next() }
            let server = await play.start()
            await server.expect(readNew(count: 2))
            while dispatcher.buffer.waitingCount == 0 { await Task.yield() }
            let waiting = Journal<Int>()
            play.log.onWrite { _ in waiting.record(dispatcher.buffer.waitingCount) }
            server.send(batch(entry("1-0"), entry("2-0")))
            await server.expect(readNew(block: nil, count: 2))
            await server.expect(readNew(block: nil, count: 2))
            #expect(waiting.all == [1], "one write, while the reader still waits")
            #expect(play.log.joined.contains(["XREADGROUP", "XREADGROUP"]))
            let first = try await reading.value
            #expect(first?.name == "1-0")
            dispatcher.finish()
            play.answerTheRest()
            await running.value
        }
    }

    @Test func `A reply that is not full ends the backlog, and the next read waits on the server`() async throws {
        let play = GroupPlay.small()
        try await play.running { consumer in
            let messages = consumer.makeAsyncIterator()
            let server = await play.start()
            await server.expect(readNew(count: 2), answer: batch(entry("1-0"), entry("2-0")))
            await server.expect(readNew(block: nil, count: 2), answer: batch(entry("3-0")))
            await server.expect(readNew(block: nil, count: 2))
            let reads = play.log.names.count
            await play.clock.calmDown()
            #expect(play.log.names.count == reads, "one read is in flight")
            server.send(nothing)
            await server.expect(readNew(count: 2))
            _ = messages
        }
    }

    @Test func `A claim goes in the same write as a read, and the read does not wait for its reply`() async throws {
        let play = GroupPlay.small {
            $0.claimInterval = .seconds(1)
            $0.prefetch = 20
        }
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.nextConnection()
            await server.expect(recoveryPage(count: 2), answer: noPending)
            await server.expectSnapshot()
            await server.expect(claim(count: 2))
            await server.expect(readNew(block: 1000, count: 2))
            #expect(play.log.joined.contains(["XAUTOCLAIM", "XREADGROUP"]))
            server.send(claimed(["1-0"]) + batch(entry("2-0"), entry("3-0")))
            await play.reclaiming().expect(reclaim("1-0"), answer: reclaimed([("1-0", 1)]))
            await server.expect(readNew(block: nil, count: 2))
            await server.expect(readNew(block: nil, count: 2))
            // On a backlog, too.
            await play.clock.advance(by: .seconds(1))
            server.send(batch(entry("4-0"), entry("5-0")))
            await server.expect(claim(count: 2), answer: nil)
            await server.expect(readNew(block: nil, count: 2))
            server.send(nothing + claimed() + nothing)
            await server.expect(readNew(block: 1000, count: 2))
            var got: [String] = []
            for _ in 0..<5 { if let message = try await messages.next() { got.append(message.name) } }
            // Reclaimed messages arrive on another connection, at any time between the others.
            #expect(got.filter { $0 != "1-0" } == ["2-0", "3-0", "4-0", "5-0"])
            #expect(got.contains("1-0"))
        }
    }

    @Test func `No more messages are read ahead than may wait, and reading goes on when there is room`() async throws {
        let play = GroupPlay.small { $0.prefetch = 4 }
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.start()
            await server.expect(readNew(count: 2), answer: batch(entry("1-0"), entry("2-0")))
            await server.expect(readNew(block: nil, count: 2), answer: batch(entry("3-0"), entry("4-0")))
            await server.expect(readNew(block: nil, count: 2), answer: batch(entry("5-0"), entry("6-0")))
            await play.clock.calmDown()
            let count = play.log.names.count
            _ = try await messages.next()
            await play.clock.calmDown()
            #expect(play.log.names.count == count, "five wait, and four may")
            _ = try await messages.next()
            await server.expect(acknowledge("1-0"), answer: ":1\r\n")
            await server.expect(readNew(count: 2), answer: batch(entry("7-0")))
            var got: [String] = []
            for _ in 0..<5 { if let message = try await messages.next() { got.append(message.name) } }
            #expect(got == ["3-0", "4-0", "5-0", "6-0", "7-0"])
        }
    }

    @Test func `No more bytes are read ahead than may wait`() async throws {
        // An entry has 13 bytes, so that a batch of two is a quarter of the limit.
        let play = GroupPlay.small {
            $0.prefetch = 1000
            $0.prefetchBytes = 104
        }
        let batches: [Int] = Array(1...20)
        let new = Replies()
        for number in batches { new.add(batch(entry("\(number)-0"), entry("\(number)-1"))) }
        let server = play.serve(new: new)
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let reads: @Sendable () -> Int = { server.commands.all.filter { $0.last == ">" }.count }
            while reads() < 7 { await play.clock.calmDown() }
            await play.clock.calmDown()
            // When the sixth batch arrived, five were waiting: more than may. The seventh read was in flight.
            #expect(reads() == 7)
            var got: [String] = []
            for _ in 0..<40 { if let message = try await messages.next() { got.append(message.name) } }
            #expect(got == batches.flatMap { ["\($0)-0", "\($0)-1"] })
        }
    }
}

extension GroupPlay {
    /// With batches of two messages.
    static func small(_ change: (inout GroupConsumer.Configuration) -> Void = { _ in }) -> GroupPlay {
        GroupPlay {
            $0.batchSize = 2
            $0.prefetch = 6
            change(&$0)
        }
    }

    /// Plays the start, and a first batch of `1-0` and `2-0`: then two reads are in flight.
    func startBacklog() async -> FakeConnection {
        let server = await start()
        await server.expect(readNew(count: 2), answer: batch(entry("1-0"), entry("2-0")))
        await server.expect(readNew(block: nil, count: 2))
        await server.expect(readNew(block: nil, count: 2))
        return server
    }
}
