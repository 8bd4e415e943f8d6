import RedisStreamsTesting
import Testing

@testable import RedisStreams

@Suite(.limitedTime) struct DeadLetterLoopTests {
    @Test func `Consumers that dead-letter into each other's stream do not exchange a message for ever`() async throws {
        let server = InMemoryRedis()
        try await server.withClient { redis in
            try await redis.xadd("a", ["item": "book"])
            let there = failing(redis, "a", deadLetter: "b")
            let back = failing(redis, "b", deadLetter: "a")
            let running = [there, back].map { consumer in
                Task { try await consumer.run { _ in throw Failed() } }
            }
            while back.counters.failures < 5 { await server.clock.advance(by: .milliseconds(100)) }
            for task in running { task.cancel() }
            for task in running { try await task.value }
            #expect(there.counters.deadLettered == 1)
            #expect(back.counters.deadLettered == 0)
            let lengths = (try await redis.xlen("a"), try await redis.xlen("b"))
            #expect(lengths == (1, 1))
        }
    }

    private func failing(_ redis: RedisClient, _ stream: StreamKey, deadLetter: StreamKey) -> GroupConsumer {
        var configuration = GroupConsumer.Configuration()
        configuration.retry = .immediately
        configuration.deadLetter = DeadLetter(deadLetter, maxAttempts: 1)
        return GroupConsumer(redis, stream: stream, group: "g", configuration: configuration)
    }
}
