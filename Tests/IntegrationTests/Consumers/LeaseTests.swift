import Logging
import RedisStreams
import ServiceLifecycle
import Testing

extension IntegrationTests {
    /// A message belongs to one consumer at a time, and is settled once.
    @Suite struct Leases {
        private static func consumer(
            _ redis: RedisClient,
            _ stream: StreamKey,
            _ name: String,
            lease: Duration = .milliseconds(600),
            _ change: (inout GroupConsumer.Configuration) -> Void = { _ in }
        ) -> GroupConsumer {
            var configuration = GroupConsumer.Configuration()
            configuration.claimIdleTime = lease
            configuration.batchSize = 10
            change(&configuration)
            return GroupConsumer(redis, stream: stream, group: "g", consumer: name, configuration: configuration)
        }

        /// Runs a consumer that gets all messages, and then another one that could claim them. Returns how many handlers
        /// of one message ran at the same time at most, and how many handlers ran in all.
        ///
        /// The first one claims nothing, since that would renew the leases of its own messages.
        ///
        /// - Parameter isEnough: Whether a handler may end, by how many have begun and how long this one has run.
        private static func slowHandlers(
            on binary: ServerBinary,
            renewing: Bool,
            until isEnough: @escaping @Sendable (_ begun: Int, _ time: Duration) -> Bool
        ) async throws -> (most: Int, runs: Int) {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await GroupConsumers.add(1...4, to: stream, redis)
                let running = Recorder<(Int, Int)>()
                let count = Recorder<Int>()
                @Sendable func run(_ name: String, claimInterval: Duration?) async throws {
                    let consumer = consumer(redis, stream, name, lease: .milliseconds(300)) {
                        $0.claimInterval = claimInterval
                        if !renewing { $0.safeguards.remove(.renewal) }
                    }
                    try await consumer.run(concurrency: 4) { message in
                        running.add((message.number, 1))
                        count.add(message.number)
                        let begin = ContinuousClock.now
                        try? await eventually("it has run long enough") {
                            Task.isCancelled || isEnough(count.count, ContinuousClock.now - begin)
                        }
                        running.add((message.number, -1))
                    }
                }
                let first = Task { try await run("a", claimInterval: .seconds(60)) }
                try await eventually("the first one has all") { count.count == 4 }
                let second = Task { try await run("b", claimInterval: nil) }
                try await eventually("all are handled") { try await GroupConsumers.pending(redis, stream) == 0 }
                for task in [first, second] { task.cancel() }
                for task in [first, second] { try await task.value }
                var level: [Int: Int] = [:]
                var most = 0
                for (number, change) in running.all {
                    level[number, default: 0] += change
                    most = max(most, level[number, default: 0])
                }
                return (most, count.count)
            }
        }

        @Test("a handler that takes five leases runs once, alone", arguments: TestServer.all)
        func slow(binary: ServerBinary) async throws {
            let (most, runs) = try await Self.slowHandlers(on: binary, renewing: true) { $1 > .milliseconds(1500) }
            #expect(most == 1)
            #expect(runs == 4)
        }

        @Test("control run: without renewals, it runs several times", arguments: TestServer.all)
        func control(binary: ServerBinary) async throws {
            let (most, runs) = try await Self.slowHandlers(on: binary, renewing: false) { begun, _ in begun > 4 }
            #expect(most > 1)
            #expect(runs > 4)
        }

        @Test("a lease that was lost cancels the handler, and its outcome has no effect", arguments: TestServer.all)
        func lost(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await GroupConsumers.add(1...2, to: stream, redis)
                let seen = Recorder<String>()
                let owner = Self.consumer(redis, stream, "owner") {
                    $0.claimInterval = .seconds(60)
                    // Else the other message could go back to the group on a slow machine, and stay there for a minute.
                    $0.safeguards.remove(.returnOverdue)
                }
                let running = Task {
                    try await owner.run(concurrency: 1) { message, context in
                        guard message.number == 1 else { return seen.add("next") }
                        let claimed = try await redis.xclaim(
                            stream,
                            group: "g",
                            consumer: "other",
                            minIdle: .zero,
                            ids: [message.id]
                        )
                        #expect(claimed.count == 1)
                        try? await eventually("the context says so") { context.leaseLost }
                        try await eventually("its task is cancelled") { Task.isCancelled }
                        try context.emit(["k": "v"], to: StreamKey("\(stream):out"))
                        seen.add("lost")
                    }
                }
                try await eventually("the next message is handled") { seen.all == ["lost", "next"] }
                try await eventually("only the claimed message is pending") {
                    try await redis.xpending(stream, group: "g", count: 10).map(\.consumer) == ["other"]
                }
                #expect(try await redis.xlen(StreamKey("\(stream):out")) == 0)
                #expect(owner.counters.leasesLost == 1)
                running.cancel()
                try await running.value
            }
        }

        @Test("outputs are added once, with the acknowledgement", arguments: TestServer.all)
        func emit(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                let (one, two) = (StreamKey("\(stream):1"), StreamKey("\(stream):2"))
                try await GroupConsumers.add(1...50, to: stream, redis)
                let consumer = Self.consumer(redis, stream, "a")
                let running = Task {
                    try await consumer.run(concurrency: 4) { message, context in
                        try context.emit(["n": .integer(message.number)], to: one)
                        try context.emit(["n": .integer(message.number), "again": "yes"], to: two, maxLength: 1000)
                    }
                }
                try await eventually("nothing is pending") {
                    guard try await redis.xlen(one) == 50 else { return false }
                    return try await GroupConsumers.pending(redis, stream) == 0
                }
                running.cancel()
                try await running.value
                #expect(
                    try await redis.xrange(one).compactMap { $0["n"].flatMap { Int($0) } }.sorted() == Array(1...50)
                )
                #expect(try await redis.xrange(two).map { $0.fields.count } == Array(repeating: 2, count: 50))
                #expect(consumer.counters.acknowledged == 50)
            }
        }

        @Test("a handler that fails is retried by the policy, then dead-lettered", arguments: TestServer.all)
        func retries(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                let dead = StreamKey("\(stream):dead")
                try await GroupConsumers.add(1...4, to: stream, redis)
                let attempts = Recorder<(Int, Int)>()
                let consumer = Self.consumer(redis, stream, "a") {
                    $0.retry = .fixed(.milliseconds(50))
                    $0.deadLetter = DeadLetter(dead, maxAttempts: 3)
                }
                let running = Task {
                    try await consumer.run(concurrency: 2) { message, context in
                        attempts.add((message.number, context.attempt))
                        switch message.number {
                        case 1: throw Failure()
                        case 2: throw Reject("no such customer")
                        case 3 where context.attempt == 1: throw Retry(after: .milliseconds(10))
                        default: return
                        }
                    }
                }
                try await eventually("all messages are settled") {
                    guard try await redis.xlen(dead) == 2 else { return false }
                    return try await GroupConsumers.pending(redis, stream) == 0
                }
                running.cancel()
                try await running.value
                #expect(attempts.all.filter { $0.0 == 1 }.map(\.1) == [1, 2, 3])
                #expect(attempts.all.filter { $0.0 == 2 }.map(\.1) == [1])
                #expect(attempts.all.filter { $0.0 == 3 }.map(\.1) == [1, 2])
                let deadLetters = try await redis.xrange(dead)
                let failed = try #require(deadLetters.first { $0["n"] == "1" })
                #expect(failed["dead-letter.stream"] == stream.rawValue)
                #expect(failed["dead-letter.group"] == "g")
                #expect(failed["dead-letter.attempts"] == "3")
                #expect(failed["dead-letter.error"] == "Failure")
                let rejected = try #require(deadLetters.first { $0["n"] == "2" })
                #expect(rejected["dead-letter.reason"] == "no such customer")
                #expect(consumer.counters.deadLettered == 2)
            }
        }

        @Test("a graceful shutdown returns messages that no handler has begun, at once", arguments: TestServer.all)
        func handOver(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await GroupConsumers.add(1...30, to: stream, redis)
                let begun = Recorder<Int>()
                let leaving = Self.consumer(redis, stream, "leaving", lease: .seconds(60))
                let group = ServiceGroup(
                    services: [
                        leaving.service(concurrency: 2) { message in
                            begun.add(message.number)
                            // The consumer learns of the shutdown before this handler, so that it starts no other one.
                            try await gracefulShutdown()
                        }
                    ],
                    logger: .init(label: "test")
                )
                let running = Task { try await group.run() }
                try await eventually("two are being handled") { begun.count == 2 }
                await group.triggerGracefulShutdown()
                try await running.value
                #expect(begun.count == 2)
                let pending = try await redis.xpending(stream, group: "g", count: 100)
                #expect(pending.allSatisfy { $0.deliveryCount == 0 && ($0.idleTime ?? .zero) >= .seconds(59) })
                // Other consumers need not wait until the lease expires.
                let seen = Recorder<(Int, Int)>()
                let next = Self.consumer(redis, stream, "next", lease: .seconds(60))
                let following = Task {
                    try await next.run(concurrency: 4) { seen.add(($0.number, $0.attempt)) }
                }
                try await eventually("the rest is handled", within: .seconds(5)) { seen.count == 28 }
                #expect(seen.all.allSatisfy { $0.1 == 1 })
                following.cancel()
                try await following.value
                try await eventually("a consumer without messages is gone") {
                    try await !redis.xinfoConsumers(stream, group: "g").map(\.name).contains("next")
                }
            }
        }

        struct Failure: Error {}
    }
}
