import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// Which consumer names stay in the group.
@Suite(.limitedTime) struct ConsumerNameTests {
    private static let versions: [InMemoryRedis.Version] = [.redis6_2, .redis7_0, .redis8_2, .valkey9_1]

    private static func names(_ redis: RedisClient) async throws -> [String] {
        try await redis.xinfoConsumers("orders", group: "billing").map(\.name).sorted()
    }

    /// Runs a consumer until it holds messages, and ends it.
    private static func life(
        _ redis: RedisClient,
        _ name: String? = nil,
        _ change: (inout GroupConsumer.Configuration) -> Void = { _ in }
    ) async throws {
        var configuration = GroupConsumer.Configuration()
        configuration.batchSize = 3
        configuration.prefetch = 0
        change(&configuration)
        let consumer = GroupConsumer(
            redis,
            stream: "orders",
            group: "billing",
            consumer: name,
            configuration: configuration
        )
        let begun = Journal<StreamID>()
        let running = Task {
            try await consumer.run { message in
                begun.record(message.id)
                await untilCancelled()
                try Task.checkCancellation()
            }
        }
        _ = await begun.wait(for: 1)
        running.cancel()
        try await running.value
    }

    private static func add(_ count: Int, _ redis: RedisClient) async throws {
        for number in 0..<count { try await redis.xadd("orders", ["n": .integer(number)]) }
    }

    @Test(arguments: versions)
    func `A consumer that ends cleanly while it holds messages removes its name`(
        version: InMemoryRedis.Version
    )
        async throws
    {
        let server = InMemoryRedis(version: version)
        try await server.withClient { redis in
            try await Self.add(4, redis)
            for number in 0..<20 { try await Self.life(redis, number.isMultiple(of: 2) ? nil : "chosen-\(number)") }
            let names = try await Self.names(redis)
            #expect(names == [ConsumerName.returned])
            let pending = try await redis.xpending("orders", group: "billing", count: 10)
            #expect(pending.allSatisfy { $0.deliveryCount == 0 && ($0.idleTime ?? .zero) >= .seconds(30) })
        }
    }

    @Test(arguments: versions)
    func `The names of killed consumers are removed when others have claimed their messages`(
        version: InMemoryRedis.Version
    )
        async throws
    {
        let server = InMemoryRedis(version: version)
        try await server.withClient { redis in
            try await Self.add(70, redis)
            for _ in 0..<20 { try await Self.life(redis) { $0.safeguards.remove(.handOver) } }
            try await Self.life(redis, "chosen") { $0.safeguards.remove(.handOver) }
            let left = try await Self.names(redis)
            #expect(left.count == 21)
            let consumer = GroupConsumer(redis, stream: "orders", group: "billing")
            let handled = Journal<StreamID>()
            let running = Task { try await consumer.run(concurrency: 8) { handled.record($0.id) } }
            for _ in 0..<200 where handled.all.count < 70 {
                await server.clock.advance(by: .seconds(1))
                // Otherwise the connect timeout passes before a connection is open.
                await server.clock.calmDown()
            }
            for _ in 0..<200 where try await Self.names(redis).count > 2 {
                await server.clock.advance(by: .milliseconds(100))
                await server.clock.calmDown()
            }
            let names = try await Self.names(redis)
            #expect(names == ["chosen", consumer.name])
            running.cancel()
            try await running.value
            #expect(Set(handled.all).count == 70)
        }
    }

    @Test(arguments: versions)
    func `Generated names that are idle for an hour are removed, except with pending messages`(
        version: InMemoryRedis.Version
    ) async throws {
        let server = InMemoryRedis(version: version)
        // The first search is at a random time within an hour: here in the first minute.
        try await server.makeClient(jitter: 0.01).running { redis in
            try await redis.xgroupCreate("orders", group: "billing", createStream: true)
            for name in ["generated:gone", "generated:returned", "gone"] {
                try await redis.xgroupCreateConsumer("orders", group: "billing", consumer: name)
            }
            // If the consumer has no name in the group yet, the last active name stays: here the one with a pending
            // message.
            await server.clock.advance(by: .seconds(3600))
            try await redis.xadd("orders", ["n": "1"])
            let offset = GroupOffset("orders")
            _ = try await redis.xreadgroup(group: "billing", consumer: "generated:holding", streams: [offset])
            var configuration = GroupConsumer.Configuration()
            configuration.claimIdleTime = nil
            let consumer = GroupConsumer(redis, stream: "orders", group: "billing", configuration: configuration)
            let running = Task { try await consumer.run { _ in } }
            for _ in 0..<100 where try await Self.names(redis).contains("generated:gone") {
                await server.clock.advance(by: .seconds(1))
                await server.clock.calmDown()
            }
            let names = try await Self.names(redis)
            // Before 7.2 the server creates a consumer with its first message.
            #expect(names.filter { $0 != consumer.name } == ["generated:holding", "gone"])
            running.cancel()
            try await running.value
        }
    }

    @Test(arguments: versions)
    func `removeIdleConsumers removes chosen names, except the last one and those with pending messages`(
        version: InMemoryRedis.Version
    ) async throws {
        let server = InMemoryRedis(version: version)
        try await server.withClient { redis in
            try await redis.xgroupCreate("orders", group: "billing", createStream: true)
            try await redis.xadd("orders", ["n": "1"])
            let offset = GroupOffset("orders")
            _ = try await redis.xreadgroup(group: "billing", consumer: "holding", streams: [offset])
            for name in ["a", "b", "c"] {
                try await redis.xgroupCreateConsumer("orders", group: "billing", consumer: name)
                await server.clock.advance(by: .seconds(1))
            }
            var removed = try await redis.removeIdleConsumers("orders", group: "billing", idleFor: .seconds(60))
            #expect(removed.isEmpty)
            removed = try await redis.removeIdleConsumers(
                "orders",
                group: "billing",
                idleFor: .seconds(1),
                names: ["a", "c", "holding"]
            )
            #expect(removed == ["a"])
            removed = try await redis.removeIdleConsumers("orders", group: "billing", idleFor: .zero)
            #expect(removed == ["b"])
            let names = try await Self.names(redis)
            #expect(names == ["c", "holding"])
        }
    }

    /// A group with old names must not count as abandoned as soon as its last consumer ends.
    @Test(arguments: versions, [true, false])
    func `A group counts as abandoned after its time without consumers`(
        version: InMemoryRedis.Version,
        hasOldName: Bool
    ) async throws {
        let server = InMemoryRedis(version: version)
        try await server.withClient { redis in
            try await Self.add(2, redis)
            if hasOldName {
                try await redis.xgroupCreate("orders", group: "billing", from: .beginning)
                try await redis.xgroupCreateConsumer("orders", group: "billing", consumer: "old")
                await server.clock.advance(by: .seconds(1000))
            }
            try await Self.life(redis)
            var goal = GroupTrim()
            goal.abandonedAfter = .seconds(600)
            await server.clock.advance(by: .seconds(500))
            let kept = try await redis.trim("orders", goal)
            #expect(kept.groups.map(\.isAbandoned) == [false])
            await server.clock.advance(by: .seconds(200))
            let later = try await redis.trim("orders", goal)
            #expect(later.groups.map(\.isAbandoned) == [true])
        }
    }
}
