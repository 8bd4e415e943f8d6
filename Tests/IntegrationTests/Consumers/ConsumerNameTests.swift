import RedisStreams
import Testing

extension IntegrationTests {
    /// The names that consumers leave in their group.
    @Suite struct ConsumerNames {
        private static func names(_ redis: RedisClient, _ stream: StreamKey) async throws -> [String] {
            try await redis.xinfoConsumers(stream, group: "g").map(\.name).sorted()
        }

        /// Runs a consumer until it handles a message, and ends it.
        private static func life(_ redis: RedisClient, _ stream: StreamKey, isKilled: Bool) async throws {
            let begun = Recorder<Int>()
            var configuration = GroupConsumer.Configuration()
            configuration.claimIdleTime = .milliseconds(500)
            configuration.batchSize = 3
            configuration.prefetch = 0
            // For the server this is a kill: the consumer returns no message, and its connection is gone.
            if isKilled { configuration.safeguards.remove(.handOver) }
            let consumer = GroupConsumer(redis, stream: stream, group: "g", configuration: configuration)
            let running = Task {
                try await consumer.run { message in
                    begun.add(message.number)
                    try await Task.sleep(for: .seconds(60))
                }
            }
            try await eventually("a handler runs") { begun.count > 0 }
            running.cancel()
            try await running.value
        }

        @Test("after twenty kills and twenty clean stops, only the living name is left", arguments: TestServer.all)
        func kills(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await GroupConsumers.add(1...200, to: stream, redis)
                for number in 0..<40 { try await Self.life(redis, stream, isKilled: number.isMultiple(of: 2)) }
                let handled = Recorder<Int>()
                var configuration = GroupConsumer.Configuration()
                configuration.claimIdleTime = .milliseconds(500)
                let consumer = GroupConsumer(redis, stream: stream, group: "g", configuration: configuration)
                let running = Task { try await consumer.run(concurrency: 8) { handled.add($0.number) } }
                try await eventually("all are handled") { Set(handled.all).count == 200 }
                try await eventually("only the name of the living consumer is left") {
                    try await Self.names(redis, stream) == [consumer.name]
                }
                running.cancel()
                try await running.value
                #expect(try await Self.names(redis, stream).count == 1, "the last name shows since when it is unused")
            }
        }

        @Test("a group whose consumers have ended is abandoned after a time", arguments: TestServer.all)
        func abandoned(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await GroupConsumers.add(1...2, to: stream, redis)
                try await Self.life(redis, stream, isKilled: false)
                try await GroupConsumers.add(3...4, to: stream, redis)
                var goal = GroupTrim()
                goal.abandonedAfter = .seconds(60)
                #expect(try await redis.trim(stream, goal).groups.map(\.isAbandoned) == [false])
                goal.abandonedAfter = .milliseconds(100)
                try await eventually("the group counts as abandoned") {
                    try await redis.trim(stream, goal).groups.map(\.isAbandoned) == [true]
                }
            }
        }
    }
}
