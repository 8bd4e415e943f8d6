import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// The group vanishes while it is read for, with all that it had pending.
@Suite(.limitedTime) struct GroupLossTests {
    static let policies: [(GroupConsumer.GroupLossPolicy, lowestPending: String?, last: String, position: String)] = [
        (.resume, nil, "9-0", "5-0"), (.resume, "3-1", "9-0", "3-0"), (.beginning, nil, "9-0", "0-0"),
        (.latest, nil, "9-0", "9-0"), (.resume, nil, "5-0", "5-0"),
    ]

    @Test(arguments: policies) func `It is created where the policy says`(
        policy: GroupConsumer.GroupLossPolicy,
        lowestPending: String?,
        last: String,
        position: String
    ) async throws {
        let play = GroupPlay {
            $0.start = .latest
            $0.groupLoss = policy
        }
        try await play.running { consumer in
            let messages = consumer.makeAsyncIterator()
            let server = await play.start(delivered: "5-0", lowestPending: lowestPending)
            await server.expect(readNew(), answer: "-NOGROUP No such key 'orders' or consumer group 'billing'\r\n")
            await server.expectCreation(after: position, last: last)
            // The new group has not been recovered yet.
            await server.expect(readNew())
            guard case .groupCreated(let after, wasLost: true) = await play.events.wait(for: 1)[0] else {
                Issue.record("not told of the loss")
                return
            }
            #expect(after == id(position))
            _ = messages
        }
    }

    @Test func `Without its watermark it would go on with what is added, and lose what came before`() async throws {
        let play = GroupPlay { $0.safeguards.remove(.watermark) }
        try await play.running { consumer in
            let messages = consumer.makeAsyncIterator()
            let server = await play.start(delivered: "5-0")
            await server.expect(readNew(), answer: "-NOGROUP gone\r\n")
            await server.expectCreation(after: "9-0", last: "9-0")
            _ = messages
        }
    }

    @Test(arguments: [("3-0", Discontinuity.Kind.regressed), ("0-0", .missing)])
    func `In a stream that was made anew it begins at the beginning, and says so`(
        last: String,
        kind: Discontinuity.Kind
    ) async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let messages = consumer.makeAsyncIterator()
            let server = await play.start(delivered: "5-0")
            await server.expect(readNew(), answer: "-NOGROUP gone\r\n")
            await server.expectCreation(after: "0-0", last: last)
            guard case .discontinuity(let what) = await play.events.wait(for: 1)[0] else {
                Issue.record("not told of the new stream")
                return
            }
            #expect(what == Discontinuity(kind, stream: "orders", position: id("5-0"), lastID: id(last)))
            _ = messages
        }
    }

    @Test func `Where it is not to be created again, its loss is thrown`() async throws {
        let play = GroupPlay { $0.groupLoss = .fail }
        try await play.running { consumer in
            async let error = caught { for try await _ in consumer {} }
            let server = await play.start()
            await server.expect(readNew(), answer: "-NOGROUP gone\r\n")
            await server.expect(probe(), answer: probed(last: "9-0"))
            #expect(await error?.code == .noGroup)
        }
    }

    @Test(arguments: ["+OK\r\n", "-BUSYGROUP Consumer Group name already exists\r\n"])
    func `What was held is lost with the group: its ids may be those of other entries, which are handled`(
        answer: String
    ) async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0"), entry("2-0")))
            await server.expect(readNew())
            let first = try await messages.next()
            server.send("-NOGROUP the consumer group this client was blocked on no longer exists\r\n")
            await server.expectCreation(after: "0-0", last: "2-0", answer: answer)
            let lost = await play.events.wait(for: 1).compactMap {
                if case .leaseLost(let ids) = $0 { ids } else { nil }
            }
            #expect(lost.first?.sorted() == ids("1-0", "2-0"))
            #expect(first?.isHeld == false)
            await server.expect(readNew(), answer: batch(entry("1-0"), entry("3-0")))
            await server.expect(readNew())
            // What was handed out before the loss is not acknowledged in the new group.
            let next = [try await messages.next(), try await messages.next()]
            #expect(next.map { $0?.name } == ["1-0", "3-0"])
            await play.expectShared(acknowledge("1-0"), answer: ":1\r\n")
        }
    }

    @Test func `What was held is lost as soon as a read finds no group, and not only when there is another`()
        async throws
    {
        let play = GroupPlay()
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0")))
            await server.expect(readNew())
            let first = try await messages.next()
            server.send("-NOGROUP the consumer group this client was blocked on no longer exists\r\n")
            await server.expect(probe())
            guard case .leaseLost(let lost) = await play.events.wait(for: 1)[0] else {
                Issue.record("not told of what was lost")
                return
            }
            #expect(lost == ids("1-0"))
            #expect(first?.isHeld == false)
        }
    }

    @Test func `A renewal that finds no group tells what was held as lost`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0")))
            await server.expect(readNew())
            let first = try await messages.next()
            await play.clock.advance(by: .seconds(10))
            await play.shared.expect(renew("1-0"), answer: "-NOGROUP No such key 'orders' or consumer group\r\n")
            guard case .leaseLost(let lost) = await play.events.wait(for: 1)[0] else {
                Issue.record("not told of what was lost")
                return
            }
            #expect(lost == ids("1-0"))
            #expect(first?.isHeld == false)
        }
    }

    /// What is to be reclaimed then is forgotten with the group, and takes no room.
    @Test func `A consumer goes on when the group is lost while it reclaims a message`() async throws {
        let server = InMemoryRedis()
        try await server.withClient { redis in
            let handled = Journal<String>()
            var configuration = GroupConsumer.Configuration()
            configuration.prefetchTime = .zero
            configuration.retry = .fixed(.seconds(1))
            let consumer = GroupConsumer(redis, stream: "orders", group: "g", configuration: configuration)
            let running = Task {
                try await consumer.run { message in
                    handled.record("\(message["n"] ?? "") \(message.source)")
                    if message["n"] == "1", message.source == .new { throw Failed() }
                }
            }
            try await redis.xadd("orders", ["n": "1"])
            _ = await handled.wait(for: 1)
            await server.clock.calmDown()
            // On its way when the group goes.
            let take = server.inject(.delay(.seconds(2)), on: "EVALSHA", nth: 2, times: 1)
            for _ in 0..<30 where take.fired == 0 {
                await server.clock.advance(by: .milliseconds(100))
                await server.clock.calmDown()
            }
            try await redis.xgroupDestroy("orders", group: "g")
            for number in 2...3 { try await redis.xadd("orders", ["n": .integer(number)]) }
            for _ in 0..<200 where !handled.all.contains("3 new") {
                await server.clock.advance(by: .milliseconds(100))
                await server.clock.calmDown()
            }
            #expect(take.fired == 1)
            #expect(handled.all.contains("2 new") && handled.all.contains("3 new"))
            running.cancel()
            try await running.value
        }
    }

    @Test func `An id that is given out again is handled when the handler of the old entry has ended`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let handled = Journal<String>()
            let gate = Gate()
            let running = Task {
                try await consumer.run(concurrency: 4) { message in
                    handled.record("\(message.name) \(message.isRedelivered)")
                    if !message.isRedelivered { await gate.wait() }
                }
            }
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("5-0")))
            await server.expect(readNew())
            _ = await handled.wait(for: 1)
            server.send("-NOGROUP No such key 'orders' or consumer group 'billing'\r\n")
            await server.expectCreation(after: "0-0", last: "5-0")
            await server.expect(readNew(), answer: batch(entry("5-0")))
            await play.shared.expect(requeue("5-0", idle: 29_900, count: 0), answer: "*0\r\n")
            await play.clock.advance(by: .milliseconds(500))
            await play.clock.calmDown()
            #expect(handled.all == ["5-0 false"], "not twice at a time")
            gate.open()
            await play.clock.calmDown()
            await play.clock.advance(by: .milliseconds(100)) {
                await play.reclaiming().expect(take("5-0"), answer: taken([("5-0", 1)]))
            }
            #expect(await handled.wait(for: 2).last == "5-0 true")
            await play.end(running)
        }
    }
}
