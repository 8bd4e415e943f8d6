import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// Entries that are larger than a connection accepts, or than a script can add, between other entries.
@Suite(.limitedTime) struct UnreadableEntries {
    private static func client() -> RedisClient.Configuration {
        var configuration = RedisClient.Configuration()
        configuration.connection.limits.maxReplyBytes = 64 << 10
        return configuration
    }

    /// A small entry, one of 200 KB, and a small one. Returns their ids.
    private static func add(_ redis: RedisClient) async throws -> [StreamID] {
        let large = String(repeating: "x", count: 200 << 10)
        var ids: [StreamID] = []
        for value in ["small", large, "small"] { ids.append(try await redis.xadd("orders", ["value": .text(value)])) }
        return ids
    }

    private static func unreadable(_ events: Journal<ConsumerEvent>) -> [StreamID] {
        events.all.compactMap { if case .unreadable(let id, "orders", _) = $0 { id } else { nil } }
    }

    @Test(arguments: [1, 100]) func `A too large entry becomes a dead letter without its body, others are handled`(
        batchSize: Int
    ) async throws {
        let server = InMemoryRedis()
        try await server.withClient(Self.client()) { redis in
            let ids = try await Self.add(redis)
            let events = Journal<ConsumerEvent>()
            let handled = Journal<StreamID>()
            var configuration = GroupConsumer.Configuration()
            configuration.batchSize = batchSize
            configuration.deadLetter = DeadLetter("dead")
            configuration.onEvent = { events.record($0) }
            let consumer = GroupConsumer(redis, stream: "orders", group: "g", configuration: configuration)
            let running = Task { try await consumer.run { handled.record($0.id) } }
            for _ in 0..<400 where consumer.counters.deadLettered == 0 || handled.all.count < 2 {
                await server.clock.advance(by: .milliseconds(50))
                await server.clock.calmDown()
            }
            #expect(handled.all.sorted() == [ids[0], ids[2]])
            #expect(Set(Self.unreadable(events)) == [ids[1]])
            #expect(consumer.counters.unreadable >= 1)
            let deadLetterEntry = try await redis.xrange("dead").first
            #expect(deadLetterEntry?["dead-letter.id"] == "\(ids[1])")
            #expect(deadLetterEntry?["dead-letter.payload"] == "omitted")
            #expect(deadLetterEntry?["value"] == nil)
            running.cancel()
            try await running.value
            let pending = try await redis.xpending("orders", group: "g").count
            #expect(pending == 0)
            let redriven = try await redis.redrive("dead")
            #expect(redriven.ids == [ids[1]])
            try await redis.xadd(
                "dead",
                ["dead-letter.stream": "orders", "dead-letter.group": "g", "dead-letter.id": "1-1"]
            )
            let left = try await redis.redrive("dead")
            #expect(left.ids.isEmpty && left.remaining.count == 1, "neither the original entry nor its fields exist")
        }
    }

    @Test func `Without a stream for dead letters a too large entry fails again and again, unacknowledged`()
        async throws
    {
        let server = InMemoryRedis()
        try await server.withClient(Self.client()) { redis in
            let ids = try await Self.add(redis)
            let events = Journal<ConsumerEvent>()
            let handled = Journal<StreamID>()
            var configuration = GroupConsumer.Configuration()
            configuration.retry = .fixed(.seconds(1))
            configuration.onEvent = { events.record($0) }
            let consumer = GroupConsumer(redis, stream: "orders", group: "g", configuration: configuration)
            let running = Task { try await consumer.run { handled.record($0.id) } }
            for _ in 0..<400 where consumer.counters.failures < 3 || handled.all.count < 2 {
                await server.clock.advance(by: .milliseconds(50))
                await server.clock.calmDown()
            }
            #expect(handled.all.sorted() == [ids[0], ids[2]])
            #expect(Set(Self.unreadable(events)) == [ids[1]])
            let pending = try await redis.xpending("orders", group: "g", count: 10)
            #expect(pending.map(\.id) == [ids[1]])
            #expect(pending.first.map { DeliveryCount($0.deliveryCount).failures } ?? 0 >= 2)
            running.cancel()
            try await running.value
        }
    }

    /// A consumer claims the entries of a dead one, and requests several at a time.
    @Test(arguments: [200, 30]) func `Entries that were refused together are requested one by one, within bounds`(
        kilobytes: Int
    ) async throws {
        let server = InMemoryRedis()
        try await server.withClient(Self.client()) { redis in
            // Either all together are too large, or the middle one of each three.
            let sizes = kilobytes == 200 ? [1, 200, 1, 1, 200, 1] : Array(repeating: 30, count: 6)
            let dead = GroupOffset("orders")
            try await redis.xgroupCreate("orders", group: "g", from: .beginning, createStream: true)
            for size in sizes {
                try await redis.xadd("orders", ["value": .text(String(repeating: "x", count: size << 10))])
                _ = try? await redis.xreadgroup(group: "g", consumer: "dead", streams: [dead], count: 1)
            }
            await server.clock.advance(by: .seconds(30))
            let handled = Journal<StreamID>()
            var configuration = GroupConsumer.Configuration()
            configuration.deadLetter = DeadLetter("dead")
            let scripts = server.inject(.delay(.zero), on: "EVALSHA", times: 1000)
            let consumer = GroupConsumer(redis, stream: "orders", group: "g", configuration: configuration)
            let running = Task { try await consumer.run(concurrency: 16) { handled.record($0.id) } }
            let (large, small) = (kilobytes == 200 ? 2 : 0, kilobytes == 200 ? 4 : 6)
            for _ in 0..<200 where consumer.counters.deadLettered < large || handled.all.count < small {
                await server.clock.advance(by: .milliseconds(100))
                await server.clock.calmDown()
            }
            #expect(Set(handled.all).count == small)
            #expect(consumer.counters.deadLettered == large)
            #expect(scripts.fired < 60, "scripts of all kinds")
            running.cancel()
            try await running.value
        }
    }

    @Test func `A group is created in a stream with an entry that is too large`() async throws {
        let server = InMemoryRedis()
        try await server.withClient(Self.client()) { redis in
            try await redis.xadd("orders", ["value": .text(String(repeating: "x", count: 200 << 10))])
            let handled = Journal<String>()
            var configuration = GroupConsumer.Configuration()
            configuration.start = .latest
            configuration.block = .milliseconds(200)
            let consumer = GroupConsumer(redis, stream: "orders", group: "g", configuration: configuration)
            let running = Task { try await consumer.run { handled.record($0["n"] ?? "") } }
            for _ in 0..<100 where try await redis.xinfoGroups("orders").isEmpty {
                await server.clock.advance(by: .milliseconds(50))
                await server.clock.calmDown()
            }
            try await redis.xadd("orders", ["n": "1"])
            #expect(await handled.wait(for: 1) == ["1"])
            running.cancel()
            try await running.value
        }
    }

    @Test func `An entry with too many fields for a script becomes a dead letter after its attempts`() async throws {
        let server = InMemoryRedis()
        try await server.withClient { redis in
            let fields = StreamFieldsToAdd((0..<5000).map { .init("f\($0)", "v") })
            let id = try await redis.xadd("orders", fields)
            let attempts = Journal<Int>()
            var configuration = GroupConsumer.Configuration()
            configuration.retry = .fixed(.milliseconds(50))
            configuration.deadLetter = DeadLetter("dead", maxAttempts: 2)
            let consumer = GroupConsumer(redis, stream: "orders", group: "g", configuration: configuration)
            let running = Task {
                try await consumer.run { message in
                    attempts.record(message.attempt)
                    throw Failed()
                }
            }
            for _ in 0..<200 where consumer.counters.deadLettered == 0 {
                await server.clock.advance(by: .milliseconds(50))
                await server.clock.calmDown()
            }
            #expect(attempts.all == [1, 2])
            let deadLetterEntry = try await redis.xrange("dead").first
            #expect(deadLetterEntry?["dead-letter.id"] == "\(id)")
            #expect(deadLetterEntry?["dead-letter.payload"] == "omitted")
            running.cancel()
            try await running.value
        }
    }
}
