import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// The group is deleted while a consumer reads, with all its pending messages.
@Suite(.limitedTime) struct GroupLossTests {
    static let policies: [(GroupConsumer.GroupLossPolicy, lowestPending: String?, last: String, position: String)] = [
        (.resume, nil, "9-0", "5-0"), (.resume, "3-1", "9-0", "3-0"), (.beginning, nil, "9-0", "0-0"),
        (.latest, nil, "9-0", "9-0"), (.resume, nil, "5-0", "5-0"),
    ]

    @Test(arguments: policies) func `A lost group is created where the policy says`(
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
            // The consumer has not recovered the pending list of the new group yet.
            await server.expect(readNew())
            guard case .groupCreated(let after, wasLost: true) = await play.events.wait(for: 1)[0] else {
                Issue.record("the loss was not reported")
                return
            }
            #expect(after == id(position))
            _ = messages
        }
    }

    @Test func `A creation whose reply was lost is reported when the group is found to exist`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let messages = consumer.makeAsyncIterator()
            let server = await play.start(delivered: "5-0")
            await server.expect(readNew(), answer: "-NOGROUP gone\r\n")
            await server.expect(probe(), answer: probed(last: "9-0"))
            await server.expect(creation(after: "5-0"))
            server.close()
            let next = try await play.reconnection()
            let exists = "-BUSYGROUP Consumer Group name already exists\r\n"
            await next.expectCreation(after: "5-0", last: "9-0", answer: exists)
            guard case .groupCreated(let after, wasLost: true) = await play.events.wait(for: 2)[1] else {
                Issue.record("no consumer reports that the group was lost")
                return
            }
            #expect(after == id("5-0"))
            _ = messages
        }
    }

    @Test func `Without the watermark, a lost group misses entries that were added before its creation`() async throws {
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
    func `In a recreated stream the group begins at the beginning, and reports a discontinuity`(
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
                Issue.record("the discontinuity was not reported")
                return
            }
            #expect(what == Discontinuity(kind, stream: "orders", position: id("5-0"), lastID: id(last)))
            _ = messages
        }
    }

    @Test func `If a lost group is not created again, its loss is thrown`() async throws {
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
    func `Held messages are lost with the group, and other entries with their ids are handled`(
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
            // A message of the old group is not acknowledged in the new one.
            let next = [try await messages.next(), try await messages.next()]
            #expect(next.map { $0?.name } == ["1-0", "3-0"])
            await play.expectShared(acknowledge("1-0"), answer: ":1\r\n")
        }
    }

    @Test func `Held messages are lost as soon as a read finds no group, not only when it was created again`()
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
                Issue.record("the loss was not reported")
                return
            }
            #expect(lost == ids("1-0"))
            #expect(first?.isHeld == false)
        }
    }

    @Test func `A renewal that finds no group reports held messages as lost`() async throws {
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
                Issue.record("the loss was not reported")
                return
            }
            #expect(lost == ids("1-0"))
            #expect(first?.isHeld == false)
        }
    }

    /// Requests are forgotten with the group, and reserve no room in the buffer.
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
            // This call is in flight when the group is deleted.
            let reclaim = server.inject(.delay(.seconds(2)), on: "EVALSHA", nth: 2, times: 1)
            for _ in 0..<30 where reclaim.fired == 0 {
                await server.clock.advance(by: .milliseconds(100))
                await server.clock.calmDown()
            }
            try await redis.xgroupDestroy("orders", group: "g")
            for number in 2...3 { try await redis.xadd("orders", ["n": .integer(number)]) }
            for _ in 0..<200 where !handled.all.contains("3 new") {
                await server.clock.advance(by: .milliseconds(100))
                await server.clock.calmDown()
            }
            #expect(reclaim.fired == 1)
            #expect(handled.all.contains("2 new") && handled.all.contains("3 new"))
            running.cancel()
            try await running.value
        }
    }

    @Test func `An id that is generated again is handled after the handler of the old entry has ended`() async throws {
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
            #expect(handled.all == ["5-0 false"], "not twice at the same time")
            gate.open()
            await play.clock.calmDown()
            await play.clock.advance(by: .milliseconds(100)) {
                await play.reclaiming().expect(reclaim("5-0"), answer: reclaimed([("5-0", 1)]))
            }
            #expect(await handled.wait(for: 2).last == "5-0 true")
            await play.end(running)
        }
    }
}
