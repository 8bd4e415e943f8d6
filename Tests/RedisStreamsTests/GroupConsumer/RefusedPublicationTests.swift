import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// A server without free memory refuses the entries that handlers emit, while it still delivers messages.
@Suite(.limitedTime) struct RefusedPublicationTests {
    private let messageCount = 200

    @Test func `Refused entries cause few requests, stop the reading, and keep their messages`() async throws {
        let server = InMemoryRedis()
        try await server.withClient { redis in
            try await redis.xgroupCreate("in", group: "g", from: .beginning, createStream: true)
            for n in 1...messageCount { try await redis.xadd("in", ["n": .integer(n)]) }
            let refusal = server.inject(
                .error("OOM command not allowed when used memory > 'maxmemory'."),
                on: "EVALSHA \(Script.publish.sha1)",
                times: .max
            )
            let handled = Journal<String>()
            var configuration = GroupConsumer.Configuration()
            configuration.claimIdleTime = .seconds(2)
            configuration.batchSize = 10
            configuration.prefetch = 20
            let consumers = (1...2).map {
                GroupConsumer(redis, stream: "in", group: "g", consumer: "\($0)", configuration: configuration)
            }
            let running = consumers.map { consumer in
                Task {
                    try await consumer.run(on: .eventLoop) { message, context in
                        handled.record(message.name)
                        try context.emit(["of": .text(message.name)], to: "out")
                    }
                }
            }
            // Until the first refusal, and five leases longer.
            while refusal.fired == 0 { await server.clock.advance(by: .milliseconds(1)) }
            for _ in 0..<1000 { await server.clock.advance(by: .milliseconds(10)) }
            // For each consumer: what may wait, what two reads bring, and what was in flight at the first refusal.
            #expect(handled.all.count <= 2 * 60)
            #expect(refusal.fired <= 2 * 10 * 10, "ten requests a second")
            refusal.stop()
            while handled.all.count < messageCount { await server.clock.advance(by: .milliseconds(100)) }
            for _ in 0..<1000 { await server.clock.advance(by: .milliseconds(10)) }
            let outputs = try await redis.xlen("out")
            let pending = try await redis.xpending("in", group: "g").count
            #expect(outputs == messageCount && pending == 0)
            #expect(handled.all.count == messageCount, "each message was handled once")
            #expect(consumers.map(\.counters.redelivered) == [0, 0])
            for task in running {
                task.cancel()
                try await task.value
            }
        }
    }
}
