import RedisStreams
import Synchronization
import Testing

extension IntegrationTests {
    /// What a group consumer does when its group or stream is lost, entries are trimmed, or a message crashes its
    /// process.
    @Suite struct GroupRecoveries {
        private static func configuration(
            _ change: (inout GroupConsumer.Configuration) -> Void = { _ in }
        ) -> GroupConsumer.Configuration {
            var configuration = GroupConsumer.Configuration()
            configuration.claimIdleTime = .milliseconds(900)
            configuration.block = .milliseconds(200)
            change(&configuration)
            return configuration
        }

        /// The messages that are delivered after the group was destroyed, when ten messages were handled before, and
        /// one was added in the same step.
        private static func afterLoss(
            of binary: ServerBinary,
            _ change: (inout GroupConsumer.Configuration) -> Void = { _ in }
        ) async throws -> (numbers: [Int], counters: ConsumerCounters) {
            let configuration = configuration(change)
            return try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await GroupConsumers.add(1...10, to: stream, redis)
                let seen = Recorder<Int>()
                let created = Recorder<StreamID>()
                let consumer = GroupConsumer(redis, stream: stream, group: "g", configuration: configuration)
                let events = Task {
                    for await event in consumer.events {
                        if case .groupCreated(let id, wasLost: true) = event { created.add(id) }
                    }
                }
                let running = Task { try await consumer.run { seen.add($0.number) } }
                try await eventually("ten are handled") { seen.count == 10 }
                let begin = ContinuousClock.now
                try await eventually("the consumer has probed the group") {
                    ContinuousClock.now - begin > .milliseconds(700)
                }
                // In one step: otherwise the consumer could recreate the group before the message is added.
                _ = try await redis.transaction(XGROUP.DESTROY(stream, group: "g"), XADD(stream, ["n": 11]))
                try await eventually("the consumer has recreated the group") { created.count > 0 }
                try await GroupConsumers.add(12...12, to: stream, redis)
                try await eventually("the last one is handled") { seen.all.contains(12) }
                running.cancel()
                try await running.value
                events.cancel()
                return (Array(seen.all.dropFirst(10)), consumer.counters)
            }
        }

        @Test("a lost group goes on at its last position", arguments: TestServer.all)
        func resume(binary: ServerBinary) async throws {
            let (numbers, _) = try await Self.afterLoss(of: binary)
            #expect(numbers == [11, 12])
        }

        @Test("a lost group starts at the beginning if configured so", arguments: TestServer.all)
        func beginning(binary: ServerBinary) async throws {
            let (numbers, _) = try await Self.afterLoss(of: binary) { $0.groupLoss = .beginning }
            #expect(numbers == Array(1...12))
        }

        @Test("control run: without its watermark, a lost group skips a message", arguments: TestServer.all)
        func control(binary: ServerBinary) async throws {
            let (numbers, _) = try await Self.afterLoss(of: binary) { $0.safeguards.remove(.watermark) }
            #expect(!numbers.contains(11))
        }

        @Test("a recreated stream is read from its beginning", arguments: TestServer.all)
        func recreated(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                _ = try await redis.xadd(stream, ["n": 1], id: .id(StreamID(milliseconds: 100)))
                let seen = Recorder<Int>()
                let consumer = GroupConsumer(redis, stream: stream, group: "g", configuration: Self.configuration())
                let running = Task { try await consumer.run { seen.add($0.number) } }
                try await eventually("the first is handled") { seen.count == 1 }
                _ = try await redis.transaction(
                    DEL([stream]),
                    XADD(stream, ["n": 2], id: .id(StreamID(milliseconds: 5)))
                )
                try await eventually("the lower id is handled") { seen.all == [1, 2] }
                running.cancel()
                try await running.value
            }
        }

        @Test("entries trimmed before they were read are counted", arguments: TestServer.all)
        func trimmed(binary: ServerBinary) async throws {
            // Redis 6.2 does not count what a group has read.
            if binary.name == "redis-6.2" { return }
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await GroupConsumers.add(1...20, to: stream, redis)
                let gate = Recorder<Void>()
                let consumer = GroupConsumer(
                    redis,
                    stream: stream,
                    group: "g",
                    configuration: Self.configuration {
                        $0.batchSize = 5
                        $0.prefetch = 0
                    }
                )
                let running = Task {
                    try await consumer.run { _ in try await eventually("the gate is open") { gate.count > 0 } }
                }
                try await eventually("some are held") {
                    (try? await redis.xpending(stream, group: "g").count) ?? 0 > 0
                }
                let read = try #require(try await redis.xinfoGroups(stream)[0].entriesRead)
                _ = try await redis.xtrim(stream, .exactly(maxLength: 3))
                try await eventually("the loss is counted") { consumer.counters.trimmedUnread > 0 }
                #expect(consumer.counters.trimmedUnread == 20 - 3 - read)
                gate.add(())
                try await eventually("nothing is pending") { try await GroupConsumers.pending(redis, stream) == 0 }
                running.cancel()
                try await running.value
            }
        }

        @Test(
            "a poison message is quarantined, and becomes a dead letter; redrive delivers it again",
            arguments: TestServer.all
        )
        func poison(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                let dead = StreamKey("\(stream):dead")
                try await redis.xgroupCreate(stream, group: "g", createStream: true)
                try await GroupConsumers.add(1...10, to: stream, redis)
                // Another process crashes on the third message again and again: it never settles it.
                let entries = try await redis.xrange(stream)
                for _ in 1...4 {
                    let read = try await redis.xreadgroup(
                        group: "g",
                        consumer: "dying",
                        streams: [GroupOffset(stream)],
                        count: 10
                    )
                    if read.isEmpty {
                        _ = try await redis.xclaim(
                            stream,
                            group: "g",
                            consumer: "dying",
                            minIdle: .zero,
                            ids: [entries[2].id]
                        )
                    }
                }
                let level = Recorder<Int>()
                let working = Mutex(0)
                let seen = Recorder<Int>()
                var configuration = Self.configuration()
                configuration.deadLetter = DeadLetter(dead, maxCrashes: 3)
                let consumer = GroupConsumer(redis, stream: stream, group: "g", configuration: configuration)
                let running = Task {
                    try await consumer.run(concurrency: 4) { message in
                        level.add(
                            working.withLock {
                                $0 += 1; return $0
                            }
                        )
                        await Task.yield()
                        seen.add(message.number)
                        working.withLock { $0 -= 1 }
                    }
                }
                try await eventually("all messages are settled") {
                    guard try await redis.xlen(dead) == 1 else { return false }
                    return try await GroupConsumers.pending(redis, stream) == 0
                }
                #expect(seen.all.sorted() == [1, 2, 4, 5, 6, 7, 8, 9, 10])
                #expect(level.all.max() ?? 0 <= 2, "quarantined messages use half of the handlers")
                #expect(try await redis.redrive(dead).ids == [entries[2].id])
                try await eventually("it is handled in the end") { seen.all.contains(3) }
                let deadLetters = try await redis.xlen(dead)
                #expect(deadLetters == 0)
                running.cancel()
                try await running.value
            }
        }
    }
}
