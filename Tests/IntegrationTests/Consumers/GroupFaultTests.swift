import RedisStreams
import Testing

extension IntegrationTests {
    /// Consumer groups while the server, the stream or the connections fail.
    @Suite struct GroupFaults {
        /// A fault of the server, the stream or the connections.
        enum Fault: String, Sendable, CaseIterable, CustomTestStringConvertible {
            case destroyGroup, deleteStream, flushAll, restart, killConnections, rename, expire, swapDatabases

            var testDescription: String { rawValue }

            /// Whether the existing messages are lost.
            var losesData: Bool { self != .destroyGroup && self != .restart && self != .killConnections }

            func strike(_ server: TestServer, _ redis: RedisClient, _ stream: StreamKey) async throws {
                let key = FieldValue.text(stream.rawValue)
                switch self {
                case .destroyGroup: try await redis.xgroupDestroy(stream, group: "g")
                case .deleteStream: try await redis.del(stream)
                case .flushAll: _ = try await redis.send("FLUSHALL")
                case .restart:
                    try await server.kill()
                    try await server.restart()
                case .killConnections: _ = try await redis.send("CLIENT", "KILL", "TYPE", "normal")
                case .rename: _ = try await redis.send("RENAME", key, .text("\(stream)-renamed"))
                case .expire:
                    _ = try await redis.send("PEXPIRE", key, "1")
                    // The key is gone, or the producer has created it again without an expiry.
                    try await eventually("it has expired") { try await redis.send("PTTL", key).integer ?? 0 < 0 }
                case .swapDatabases: _ = try await redis.send("SWAPDB", "0", "1")
                }
            }
        }

        private static func configuration() -> GroupConsumer.Configuration {
            GroupConsumers.configuration {
                $0.batchSize = 50
                $0.backoff.limit = .milliseconds(500)
            }
        }

        @Test(
            "consumers under load go on by themselves, and handle everything that the server keeps",
            arguments: TestServer.all,
            Fault.allCases
        )
        func underLoad(binary: ServerBinary, fault: Fault) async throws {
            try await TestServer.withOwn(binary, .init(isDurable: fault == .restart)) { server in
                try await server.withClient {
                    $0.backoff.limit = .milliseconds(200)
                } _: { redis in
                    try await Self.underLoad(server, redis, fault)
                }
            }
        }

        private static func underLoad(_ server: TestServer, _ redis: RedisClient, _ fault: Fault) async throws {
            let stream = StreamKey("stream")
            let handled = NumberSet()
            let created = Recorder<Void>()
            let consumers = (1...2).map { number in
                var configuration = configuration()
                configuration.onEvent = { if case .groupCreated = $0 { created.add(()) } }
                let consumer = GroupConsumer(
                    redis,
                    stream: stream,
                    group: "g",
                    consumer: "c\(number)",
                    configuration: configuration
                )
                return Task {
                    try await consumer.run(concurrency: 4) { message in
                        handled.insert(message.number)
                    }
                }
            }
            let producer = Producer(redis: redis, stream: stream)
            let producing = Task { await producer.run() }
            let progress = { (count: Int) in
                try await eventually("the producer adds \(count) more") { [target = producer.confirmed.count + count] in
                    producer.confirmed.count >= target
                }
            }

            try await progress(50)
            for _ in 0..<2 {
                // Another client strikes, since CLIENT KILL spares the connection that sends it.
                try await server.withClient(.unix) { striker in
                    try await eventually("the group exists") {
                        (try? await striker.xinfoGroups(stream)).map { $0.count == 1 } ?? false
                    }
                    try await fault.strike(server, striker, stream)
                }
                let survivor = producer.lastTried.count
                try await progress(50)
                let expected = producer.confirmed.all.filter { $0 > survivor }
                try await eventually("the messages added since are handled") {
                    handled.holdsAll(expected)
                }
            }
            producing.cancel()
            await producing.value
            let expected = fault.losesData ? [] : producer.confirmed.all
            try await eventually("all messages that the server has kept are handled") {
                handled.holdsAll(expected)
            }
            try await eventually("all messages are read and acknowledged") {
                let pending = try await GroupConsumers.pending(redis, stream)
                let group = try await redis.xinfoGroups(stream).first
                let last = try await redis.xinfoStream(stream).lastGeneratedID
                return pending == 0 && group?.lastDeliveredID == last
            }
            // At the start, and after each fault that removed the group; the second swap brings the first group back.
            if fault.losesData || fault == .destroyGroup { #expect(created.count >= (fault == .swapDatabases ? 2 : 3)) }
            for task in consumers { task.cancel() }
            for task in consumers { try await task.value }
        }

        @Test("a waiting consumer notices what happens to its stream", arguments: TestServer.all, Fault.allCases)
        func whileWaiting(binary: ServerBinary, fault: Fault) async throws {
            try await TestServer.withOwn(binary, .init(isDurable: fault == .restart)) { server in
                try await server.withClient(.unix) { redis in
                    let stream = StreamKey("stream")
                    let handled = Recorder<Int>()
                    let consumer = GroupConsumer(
                        redis,
                        stream: stream,
                        group: "g",
                        configuration: Self.configuration()
                    )
                    let running = Task { try await consumer.run { handled.add($0.number) } }
                    try await GroupConsumers.add(1...1, to: stream, redis)
                    try await eventually("the first is handled") { handled.count == 1 }
                    try await eventually("the consumer waits") {
                        try await redis.info("clients")["blocked_clients"] != "0"
                    }
                    try await server.withClient { try await fault.strike(server, $0, stream) }
                    try await eventually("the second is added") {
                        (try? await redis.xadd(stream, ["n": 2])) != nil
                    }
                    let start = ContinuousClock.now
                    try await eventually("the second is handled") { handled.all.contains(2) }
                    // The consumer notices it at the end of a BLOCK at the latest.
                    #expect(ContinuousClock.now - start < .seconds(3))
                    running.cancel()
                    try await running.value
                }
            }
        }

        @Test("a consumer recovers the messages of a reply that was lost", arguments: TestServer.all)
        func lostReply(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                let name = "lost-\(UInt32.random(in: 0...UInt32.max))"
                let server = try await TestServer.shared(binary)
                try await server.withClient {
                    $0.connection.clientName = name
                } _: { other in
                    let handled = Recorder<Int>()
                    let consumer = GroupConsumer(
                        other,
                        stream: stream,
                        group: "g",
                        consumer: "me",
                        configuration: GroupConsumers.configuration { $0.claimIdleTime = nil }
                    )
                    let running = Task { try await consumer.run { handled.add($0.number) } }
                    let blocked = {
                        try await redis.connections(named: name).filter { $0["flags"]?.contains("b") == true }
                            .compactMap { $0["id"] }
                    }
                    for round in 0..<10 {
                        try await eventually("the consumer waits") { try await blocked().count == 1 }
                        let id = try #require(try await blocked().first)
                        // In one step: the server closes the connection before it sends the reply of the read.
                        _ = try await redis.transaction(
                            XADD(stream, ["n": .integer(round)]),
                            RawCommand("CLIENT", "KILL", "ID", .text(id))
                        )
                        try await eventually("the message is handled") { handled.all.contains(round) }
                    }
                    try await eventually("nothing is pending") { try await GroupConsumers.pending(redis, stream) == 0 }
                    running.cancel()
                    try await running.value
                }
            }
        }

        @Test("a stopped server interrupts a consumer, and its messages are handled later", arguments: TestServer.all)
        func paused(binary: ServerBinary) async throws {
            try await TestServer.withOwn(binary) { server in
                try await server.withClient {
                    $0.connection.commandTimeout = .milliseconds(300)
                    $0.connection.connectTimeout = .milliseconds(300)
                    $0.acquireTimeout = .milliseconds(500)
                    $0.backoff.limit = .milliseconds(200)
                } _: { redis in
                    let stream = StreamKey("stream")
                    try await GroupConsumers.add(1...1000, to: stream, redis)
                    let handled = NumberSet()
                    let interrupted = Recorder<RedisError.Code>()
                    var configuration = Self.configuration()
                    configuration.block = .milliseconds(200)
                    configuration.onEvent = { if case .interrupted(let error, _) = $0 { interrupted.add(error.code) } }
                    let consumer = GroupConsumer(redis, stream: stream, group: "g", configuration: configuration)
                    let running = Task {
                        try await consumer.run(concurrency: 4) { message in
                            handled.insert(message.number)
                        }
                    }
                    try await eventually("some are handled") { handled.count >= 10 }
                    server.pause()
                    try await eventually("the consumer is interrupted") { interrupted.count >= 2 }
                    server.resume()
                    try await eventually("all are handled") { handled.count == 1000 }
                    try await eventually("all are acknowledged") {
                        (try? await GroupConsumers.pending(redis, stream)) == 0
                    }
                    running.cancel()
                    try await running.value
                }
            }
        }
    }
}
