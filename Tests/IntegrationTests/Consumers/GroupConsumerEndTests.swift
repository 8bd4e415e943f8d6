import Logging
import RedisStreams
import ServiceLifecycle
import Testing

extension IntegrationTests {
    /// How consumers end.
    @Suite struct Endings {
        enum Loop: String, Sendable, CaseIterable, CustomTestStringConvertible {
            case run, iteration, stream

            var testDescription: String { rawValue }

            func consume(
                _ consumer: GroupConsumer,
                _ handler: @escaping @Sendable (GroupMessage) async -> Void
            ) async throws {
                switch self {
                case .run: try await consumer.run(concurrency: 2, handler)
                case .iteration: for try await message in consumer { await handler(message) }
                case .stream: for try await message in consumer.messages { await handler(message) }
                }
            }
        }

        private struct Job: Service {
            let body: @Sendable () async throws -> Void

            func run() async throws { try await body() }
        }

        @Test(
            "a graceful shutdown lets handlers finish, acknowledges their messages, and returns",
            arguments: TestServer.all,
            Loop.allCases
        )
        func gracefulShutdown(binary: ServerBinary, loop: Loop) async throws {
            let server = try await TestServer.shared(binary)
            try await server.withClient { observer in
                let stream = StreamKey.unique()
                try await GroupConsumers.add(1...5000, to: stream, observer)
                let redis = try RedisClient(server.configuration(.tcp))
                let consumer = GroupConsumer(
                    redis,
                    stream: stream,
                    group: "g",
                    configuration: GroupConsumers.configuration { $0.claimIdleTime = .seconds(60) }
                )
                let finished = Recorder<StreamID>()
                let begun = Recorder<StreamID>()
                let job = Job {
                    try await loop.consume(consumer) { message in
                        begun.add(message.id)
                        // A handler does not notice the shutdown, and ends its work.
                        try? await observer.ping()
                        finished.add(message.id)
                    }
                }
                let group = ServiceGroup(
                    configuration: .init(
                        services: [
                            .init(service: redis),
                            .init(service: job, successTerminationBehavior: .gracefullyShutdownGroup),
                        ],
                        logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
                    )
                )
                let running = Task { try await group.run() }
                try await eventually("some are handled") { finished.count >= 20 }
                let start = ContinuousClock.now
                await group.triggerGracefulShutdown()
                try await running.value
                #expect(ContinuousClock.now - start < .seconds(2))
                #expect(begun.count == finished.count)
                #expect(finished.count < 5000)
                // Finished messages are acknowledged, and no others.
                let pending = try await Set(observer.xpending(stream, group: "g", count: 5000).map(\.id))
                #expect(pending.isDisjoint(with: finished.all))
                let delivered = try await #require(observer.xinfoGroups(stream).first?.lastDeliveredID)
                let read = try await observer.xrange(stream, to: .including(delivered)).map(\.id)
                #expect(Set(read).subtracting(pending) == Set(finished.all))
            }
        }

        @Test("cancellation acknowledges finished messages, and returns", arguments: TestServer.all, Loop.allCases)
        func cancellation(binary: ServerBinary, loop: Loop) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await GroupConsumers.add(1...500, to: stream, redis)
                let consumer = GroupConsumer(
                    redis,
                    stream: stream,
                    group: "g",
                    configuration: GroupConsumers.configuration { $0.claimIdleTime = .seconds(60) }
                )
                let finished = Recorder<StreamID>()
                let running = Task {
                    try await loop.consume(consumer) { message in
                        // A handler that ignores its cancellation, and ends its work.
                        await Task { try? await redis.ping() }.value
                        finished.add(message.id)
                    }
                }
                try await eventually("some are handled") { finished.count >= 20 }
                let start = ContinuousClock.now
                running.cancel()
                try await running.value
                #expect(ContinuousClock.now - start < .seconds(2))
                #expect(finished.count < 5000)
                let isAcknowledged = {
                    let pending = try await Set(redis.xpending(stream, group: "g", count: 1000).map(\.id))
                    // A cancelled loop does not show whether it has handled its last message.
                    let unclear = loop == .run ? [] : [finished.all.last]
                    return pending.isDisjoint(with: finished.all.filter { !unclear.contains($0) })
                }
                try await eventually("finished messages are acknowledged", within: .seconds(3)) {
                    try await isAcknowledged()
                }
            }
        }

        @Test("messages finished long after the cancellation are acknowledged, too", arguments: TestServer.all)
        func lateFinish(binary: ServerBinary) async throws {
            let name = "late-\(UInt32.random(in: 0...UInt32.max))"
            let server = try await TestServer.shared(binary)
            try await server.withClient { observer in
                try await server.withClient {
                    $0.connection.clientName = name
                } _: { redis in
                    let stream = StreamKey.unique()
                    try await GroupConsumers.add(1...4, to: stream, redis)
                    let consumer = GroupConsumer(
                        redis,
                        stream: stream,
                        group: "g",
                        configuration: GroupConsumers.configuration { $0.claimIdleTime = .seconds(60) }
                    )
                    let (gate, opener) = AsyncStream.makeStream(of: Void.self)
                    let begun = Recorder<Int>()
                    let running = Task {
                        try await consumer.run(concurrency: 4) { message in
                            begun.add(message.number)
                            // This task is not cancelled with the handler.
                            await Task { for await _ in gate {} }.value
                        }
                    }
                    try await eventually("all handlers run") { begun.count == 4 }
                    running.cancel()
                    try await eventually("the read is no longer blocked") {
                        try await observer.connections(named: name).allSatisfy { $0["flags"]?.contains("b") == false }
                    }
                    let pending = try await GroupConsumers.pending(observer, stream)
                    #expect(pending == 4)
                    opener.finish()
                    try await running.value
                    let left = try await GroupConsumers.pending(observer, stream)
                    #expect(left == 0)
                }
            }
        }

        @Test("a waiting consumer ends at once", arguments: TestServer.all, Loop.allCases)
        func idle(binary: ServerBinary, loop: Loop) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                let consumer = GroupConsumer(redis, stream: stream, group: "g")
                let running = Task { try await loop.consume(consumer) { _ in } }
                try await eventually("the consumer waits") { try await redis.info("clients")["blocked_clients"] != "0" }
                let start = ContinuousClock.now
                running.cancel()
                try await running.value
                #expect(ContinuousClock.now - start < .seconds(1))
                try await eventually("no read is blocked") {
                    try await redis.info("clients")["blocked_clients"] == "0"
                }
            }
        }

        @Test("leaving a loop ends its read, and its last message stays pending", arguments: TestServer.all)
        func leftLoop(binary: ServerBinary) async throws {
            struct Stop: Error {}
            let name = "left-\(UInt32.random(in: 0...UInt32.max))"
            try await TestServer.shared(binary).withClient {
                $0.connection.clientName = name
            } _: { redis in
                let stream = StreamKey.unique()
                try await GroupConsumers.add(1...10, to: stream, redis)
                let consumer = GroupConsumer(
                    redis,
                    stream: stream,
                    group: "g",
                    consumer: "me",
                    configuration: GroupConsumers.configuration { $0.batchSize = 3 }
                )
                do {
                    for try await message in consumer where message.number == 2 { throw Stop() }
                } catch is Stop {}
                let ids = try await redis.xrange(stream).map(\.id)
                try await eventually("the first is acknowledged") {
                    try await redis.xpending(stream, group: "g", count: 1).first?.id == ids[1]
                }
                try await eventually("the read is no longer blocked") {
                    try await redis.connections(named: name).allSatisfy { $0["flags"]?.contains("b") == false }
                }
            }
        }
    }
}
