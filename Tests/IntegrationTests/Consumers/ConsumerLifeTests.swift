import RedisStreams
import ServiceLifecycle
import Synchronization
import Testing

extension IntegrationTests {
    /// Consumers whose client ends or does not run, and messages that are large, slow or released.
    @Suite struct ConsumerLives {
        @Test(
            "finished messages are acknowledged when the scope of the client is cancelled",
            arguments: TestServer.all
        )
        func cancelledScope(binary: ServerBinary) async throws {
            let server = try await TestServer.shared(binary)
            let stream = StreamKey.unique()
            try await server.withClient { redis in
                try await GroupConsumers.add(1...4, to: stream, redis)
                let handlers = Recorder<CheckedContinuation<Void, Never>>()
                let work = Task {
                    try await server.withClient { inner in
                        let consumer = GroupConsumer(inner, stream: stream, group: "g")
                        try await consumer.run(concurrency: 4) { _ in
                            // A handler that ignores its cancellation, and finishes after it.
                            await withCheckedContinuation { handlers.add($0) }
                        }
                    }
                }
                try await eventually("all handlers run") { handlers.count == 4 }
                work.cancel()
                for handler in handlers.all { handler.resume() }
                _ = await work.result
                #expect(try await GroupConsumers.pending(redis, stream) == 0)
            }
        }

        @Test("a loop throws when its client ends")
        func clientEnds() async throws {
            let server = try await TestServer.shared(TestServer.all[0])
            let client = try RedisClient(server.configuration(.tcp))
            let running = Task { try await client.run() }
            let stream = StreamKey.unique()
            let loops = Task {
                async let group = failure { for try await _ in GroupConsumer(client, stream: stream, group: "g") {} }
                async let fanout = failure { for try await _ in StreamConsumer(client, stream: stream) {} }
                return await [group, fanout]
            }
            try await server.withClient { redis in
                try await eventually("the group exists") { try await redis.exists(stream) == 1 }
            }
            running.cancel()
            #expect(await loops.value.map { $0?.code } == [.clientShutDown, .clientShutDown])
        }

        @Test("consumers and producers throw if their client does not run")
        func clientNotRunning() async throws {
            var configuration = try await TestServer.shared(TestServer.all[0]).configuration(.tcp)
            configuration.acquireTimeout = .milliseconds(200)
            let client = try RedisClient(configuration)
            let group = await failure { for try await _ in GroupConsumer(client, stream: "s", group: "g") {} }
            let fanout = await failure { for try await _ in StreamConsumer(client, stream: "s").messages {} }
            let producer = await failure { try await StreamProducer(client, stream: "s").send(["a": "b"]) }
            for error in [group, fanout, producer] {
                #expect(error?.code == .connectionUnavailable)
                #expect(error?.message.contains("run()") == true)
            }
        }

        @Test("messages that are too large for one reply are read in smaller batches", arguments: TestServer.all)
        func largeMessages(binary: ServerBinary) async throws {
            let server = try await TestServer.shared(binary)
            var configuration = server.configuration(.tcp)
            configuration.connection.limits.maxReplyBytes = 100_000
            let stream = StreamKey.unique()
            try await withRedisClient(configuration) { redis in
                let text = String(repeating: "x", count: 20_000)
                for number in 1...50 { try await redis.xadd(stream, ["n": .integer(number), "text": .text(text)]) }
                var seen: Set<String> = []
                for try await message in GroupConsumer(redis, stream: stream, group: "g") {
                    seen.insert(message["n"] ?? "")
                    if seen.count == 50 { break }
                }
                var all: [String] = []
                for try await message in StreamConsumer(redis, stream: stream, from: .beginning) {
                    all.append(message["n"] ?? "")
                    if all.count == 50 { break }
                }
                #expect(all == (1...50).map { "\($0)" })
            }
        }

        @Test(
            "no message is handled by two consumers at a time because it waited in a buffer",
            arguments: TestServer.all
        )
        func slowHandlers(binary: ServerBinary) async throws {
            let server = try await TestServer.shared(binary)
            let stream = StreamKey.unique()
            let handlings = Handlings()
            try await server.withClient { redis in
                try await GroupConsumers.add(1...60, to: stream, redis)
                let configuration = GroupConsumers.configuration { $0.claimIdleTime = .milliseconds(500) }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 1...2 {
                        group.addTask {
                            // One consumer reads all sixty at once, and takes three seconds to handle them.
                            let consumer = GroupConsumer(
                                redis,
                                stream: stream,
                                group: "g",
                                configuration: configuration
                            )
                            try await consumer.run { message in
                                handlings.add(message.id)
                                try await Task.sleep(for: .milliseconds(50))
                            }
                        }
                    }
                    try await eventually("all handled") { handlings.count == 60 }
                    try await eventually("none pending") { try await GroupConsumers.pending(redis, stream) == 0 }
                    group.cancelAll()
                }
            }
            #expect(handlings.repeated == 0)
        }

        @Test("a message that is released is delivered again", arguments: TestServer.all)
        func release(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await GroupConsumers.add(1...1, to: stream, redis)
                let configuration = GroupConsumers.configuration(.manual) { $0.claimIdleTime = .milliseconds(100) }
                var sources: [GroupMessage.Source] = []
                for try await message in GroupConsumer(redis, stream: stream, group: "g", configuration: configuration)
                {
                    sources.append(message.source)
                    if sources.count == 2 { break }
                    message.requeue()
                }
                #expect(sources == [.new, .claimed])
            }
        }
    }
}

/// The error that `body` throws.
private func failure<Result>(_ body: () async throws -> Result) async -> RedisError? {
    do {
        _ = try await body()
        return nil
    } catch {
        return error as? RedisError
    }
}

/// How often each message was handled.
private final class Handlings: Sendable {
    private let counts = Mutex<[StreamID: Int]>([:])

    func add(_ id: StreamID) { counts.withLock { $0[id, default: 0] += 1 } }
    var count: Int { counts.withLock { $0.count } }
    var repeated: Int { counts.withLock { $0.values.filter { $0 > 1 }.count } }
}
