import Testing

@testable import RedisStreams
@testable import RedisStreamsTesting

/// How messages are retried whose handlers fail, with a lease of thirty seconds.
@Suite(.limitedTime) struct RetryTests {
    @Test func `A claim of a message that waits for its retry does not shorten the wait`() async throws {
        let play = GroupPlay {
            $0.retry = .fixed(.seconds(3))
            $0.claimInterval = .seconds(1)
        }
        try await play.running { consumer in
            let handled = Journal<String>()
            let running = Task {
                try await consumer.run { message in
                    handled.record("\(message.id) \(message.source)")
                    if message.source == .new { throw Failed() }
                }
            }
            let server = await play.start()
            await server.expect(readNew(block: 1000), answer: batch(entry("1-0")))
            await server.expect(readNew(block: 1000))
            _ = await play.events.wait(for: 1)
            await play.clock.advance(by: .milliseconds(1))
            await play.shared.expect(requeue("1-0", idle: 27_001, count: 1000), answer: "*0\r\n")
            await play.clock.calmDown()
            // The server's clock is ahead: on the server, the time is over.
            await play.clock.advance(by: .milliseconds(999))
            server.send(nothing)
            await server.expect(claim(), answer: claimed(["1-0"]))
            await server.expect(readNew(block: 1000))
            await play.clock.calmDown()
            #expect(!play.log.names.suffix(2).contains("EVALSHA"))
            await play.clock.advance(by: .seconds(2))
            await play.reclaiming().expect(reclaim("1-0"), answer: reclaimed([("1-0", 1001)]))
            #expect(await handled.wait(for: 2) == ["1-0 new", "1-0 retried"])
            await play.end(running)
        }
    }

    @Test func `A retry that is due comes before new messages, however many there are`() async throws {
        let server = InMemoryRedis()
        let eventLoop = server.clock.eventLoop
        try await server.withClient { redis in
            for number in 0..<200 { try await redis.xadd("orders", ["n": .integer(number)]) }
            let handled = Journal<String>()
            var configuration = GroupConsumer.Configuration()
            configuration.retry = .fixed(.seconds(1))
            let consumer = GroupConsumer(redis, stream: "orders", group: "g", configuration: configuration)
            let running = Task {
                try await consumer.run(on: .eventLoop) { message in
                    handled.record("\(message["n"] ?? "") \(message.source)")
                    await eventLoop.sleep(for: .milliseconds(250))
                    if message["n"] == "0", message.source == .new { throw Failed() }
                }
            }
            for _ in 0..<600 where !handled.all.contains("0 retried") && handled.all.count < 150 {
                await server.clock.advance(by: .milliseconds(50))
                await server.clock.calmDown()
            }
            #expect(handled.all.count < 15, "it is due after four others")
            running.cancel()
            for _ in 0..<10 { await server.clock.advance(by: .milliseconds(100)) }
            try await running.value
        }
    }

    @Test(arguments: [(nil, 2000), (Retry(after: .milliseconds(500)), 500), (Retry(), 2000)] as [(Retry?, Int)])
    func `The message of a handler that throws is requeued, and reclaimed when it is due`(
        retry: Retry?,
        delay: Int
    ) async throws {
        let play = GroupPlay { $0.retry = .fixed(.seconds(2)) }
        try await play.running { consumer in
            let handled = Journal<String>()
            let gate = Gate()
            let running = Task {
                try await consumer.run { message, context in
                    await gate.wait()
                    handled.record("\(message.id) \(message.source) \(context.attempt)")
                    if context.attempt < 3 { throw retry ?? Failed() as any Error }
                }
            }
            let shared = play.shared
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0")))
            await server.expect(readNew())
            gate.open()
            for attempt in 1...2 {
                guard case .retrying(let failed, attempt, let after) = await play.events.wait(for: attempt)[attempt - 1]
                else {
                    Issue.record("the failure was not reported")
                    return
                }
                #expect(failed == id("1-0"))
                #expect(after == .milliseconds(delay))
                await play.clock.advance(by: .milliseconds(1))
                // The idle time reaches the lease when the message is due.
                await shared.expect(
                    requeue("1-0", idle: 30_000 - delay + 1, count: attempt * 1000),
                    answer: "*0\r\n"
                )
                await play.clock.calmDown()
                await play.clock.advance(by: .milliseconds(delay - 2))
                await play.clock.calmDown()
                #expect(handled.all.count == attempt)
                await play.clock.advance(by: .milliseconds(1))
                await play.reclaiming().expect(reclaim("1-0"), answer: reclaimed([("1-0", attempt * 1000 + 1)]))
                _ = await handled.wait(for: attempt + 1)
            }
            #expect(handled.all == ["1-0 new 1", "1-0 retried 2", "1-0 retried 3"])
            await play.clock.advance(by: .milliseconds(1)) {
                await shared.expect(acknowledge("1-0"), answer: ":1\r\n")
            }
            #expect(consumer.counters.failures == 2)
            #expect(consumer.counters.redelivered == 2)
            await play.end(running)
        }
    }

    @Test func `A message that is due after more than a lease is renewed until then`() async throws {
        let play = GroupPlay { $0.retry = .fixed(.seconds(45)) }
        try await play.running { consumer in
            let handled = Journal<Int>()
            let gate = Gate()
            let running = Task {
                try await consumer.run { message in
                    await gate.wait()
                    handled.record(message.attempt)
                    if message.attempt == 1 { throw Failed() }
                }
            }
            let shared = play.shared
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0")))
            await server.expect(readNew())
            gate.open()
            _ = await play.events.wait(for: 1)
            await play.clock.advance(by: .milliseconds(1))
            await shared.expect(requeue("1-0", idle: 0, count: 1000), answer: "*0\r\n")
            await play.clock.calmDown()
            await play.clock.advance(by: .milliseconds(9999))
            await shared.expect(renew("1-0"), answer: renewed())
            await shared.expectSnapshot(delivered: "1-0", lowestPending: "1-0")
            await play.clock.calmDown()
            await play.clock.advance(by: .seconds(10))
            await shared.expect(renew("1-0"), answer: renewed())
            await play.clock.calmDown()
            await play.clock.advance(by: .milliseconds(1))
            await shared.expect(requeue("1-0", idle: 30_000 - 24_999, count: 1000), answer: "*0\r\n")
            await play.clock.calmDown()
            await play.clock.advance(by: .milliseconds(24_998))
            await play.clock.calmDown()
            #expect(handled.all == [1])
            await play.clock.advance(by: .milliseconds(1))
            await play.reclaiming().expect(reclaim("1-0"), answer: reclaimed([("1-0", 1001)]))
            #expect(await handled.wait(for: 2) == [1, 2])
            await play.end(running)
        }
    }

    @Test func `A requeue of a message that another consumer owns is reported as a loss`() async throws {
        let play = GroupPlay { $0.retry = .fixed(.seconds(2)) }
        try await play.running { consumer in
            let running = await play.runFailingHandler(consumer)
            let shared = play.shared
            _ = await play.events.wait(for: 1)
            await play.clock.advance(by: .milliseconds(1))
            await shared.expect(requeue("1-0", idle: 28_001, count: 1000), answer: array([bulk("1-0")]))
            guard case .leaseLost(let lost) = await play.events.wait(for: 2)[1] else { return }
            #expect(lost == ids("1-0"))
            await play.clock.advance(by: .seconds(5))
            await play.clock.calmDown()
            #expect(
                play.log.names.filter { $0 == "EVALSHA" }.count == 2,
                "the snapshot of the group, and the requeue"
            )
            await play.end(running)
        }
    }

    @Test func `With manual acknowledgement, a message can be retried, rejected, or released`()
        async throws
    {
        let play = GroupPlay {
            $0.acknowledgement = .manual
            $0.retry = .fixed(.seconds(2))
        }
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let shared = play.shared
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0"), entry("2-0"), entry("3-0")))
            await server.expect(readNew())
            try await messages.next()?.retry(after: .seconds(1))
            try await messages.next()?.reject("no such customer")
            let third = try await messages.next()
            third?.requeue()
            #expect(third?.isHeld == false)
            await play.clock.advance(by: .milliseconds(1))
            await shared.expect(acknowledge("2-0"), answer: ":1\r\n")
            let requeues = ["1-0", "29001", "1000", "3-0", "30000", "0"]
            await shared.expect(call(.requeue, requeues), answer: "*0\r\n")
            let events = await play.events.wait(for: 2)
            guard case .retrying = events[0], case .rejected(_, "no such customer") = events[1] else {
                Issue.record("not reported: \(events)")
                return
            }
            #expect(consumer.counters.rejected == 1)
            #expect(consumer.counters.failures == 2)
        }
    }

    @Test func `A settlement that the server refuses for now is sent again`() async throws {
        let play = GroupPlay { $0.retry = .immediately }
        try await play.running { consumer in
            let gate = Gate()
            let running = Task {
                try await consumer.run { message in
                    await gate.wait()
                    if message.attempt == 1 { throw Failed() }
                }
            }
            let shared = play.shared
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0")))
            await server.expect(readNew())
            gate.open()
            _ = await play.events.wait(for: 1)
            await play.clock.advance(by: .milliseconds(1))
            await shared.expect(requeue("1-0", idle: 30_000, count: 1000), answer: "-LOADING Redis is loading\r\n")
            await play.clock.advance(by: .milliseconds(1)) {
                await shared.expect(requeue("1-0", idle: 30_000, count: 1000), answer: "*0\r\n")
                await play.reclaiming().expect(reclaim("1-0"), answer: reclaimed([("1-0", 1001)]))
            }
            await play.end(running)
        }
    }
}
