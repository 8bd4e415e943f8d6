import RedisStreams

/// The work of a task that is cancelled while it runs.
enum CancelledWork: CaseIterable {
    case echo, pipeline, transaction, ownConnection, script, addAndRead, blockingRead, loop, handlers

    /// Returns whether all replies and messages belonged to `value`. Throws `CancellationError` for a cancelled
    /// consumer, which ends without an error.
    func run(_ value: String, _ redis: RedisClient) async throws -> Bool {
        let stream = StreamKey("of-\(value)")
        switch self {
        case .echo: return try await redis.send("ECHO", .text(value)).string == value
        case .pipeline:
            let replies = try await redis.pipeline(
                RawCommand("ECHO", .text(value)),
                EVAL("return ARGV[1]", arguments: [.text(value)])
            )
            return try replies.0.get().string == value && replies.1.get().string == value
        case .transaction:
            let replies = try await redis.transaction(
                RawCommand("ECHO", .text(value)),
                RawCommand("ECHO", .text(value))
            )
            return try replies.0.get().string == value && replies.1.get().string == value
        case .ownConnection:
            return try await redis.withConnection { try await $0.send("ECHO", .text(value)).string == value }
        case .script: return try await redis.eval("return ARGV[1]", arguments: [.text(value)]).string == value
        case .addAndRead:
            let id = try await redis.xadd(stream, ["n": .text(value)])
            let message = try await redis.xread([StreamOffset(stream, after: .zero)], block: .milliseconds(50))
                .first?.first
            return message?.id == id && message?["n"] == value
        case .blockingRead:
            return try await redis.xread([StreamOffset(stream)], block: .milliseconds(200)).isEmpty
        case .loop: return try await Self.loop(value, stream, redis)
        case .handlers: return try await Self.handlers(value, stream, redis)
        }
    }

    private static func loop(_ value: String, _ stream: StreamKey, _ redis: RedisClient) async throws -> Bool {
        try await redis.xadd(stream, ["n": .text(value)])
        var configuration = GroupConsumer.Configuration()
        configuration.block = .milliseconds(200)
        let consumer = GroupConsumer(redis, stream: stream, group: "g", configuration: configuration)
        for try await message in consumer {
            guard message["n"] == value, message.stream == stream else { return false }
            if !message.isRedelivered { try await redis.xadd(stream, ["n": .text(value)]) }
        }
        throw CancellationError()
    }

    private static func handlers(_ value: String, _ stream: StreamKey, _ redis: RedisClient) async throws -> Bool {
        try await redis.xadd(stream, ["n": .text(value)])
        let wrong = Handled()
        let consumer = GroupConsumer(redis, stream: stream, group: "g")
        try await consumer.run(concurrency: 2) { message in
            if message["n"] != value { wrong.add(0) }
            try await redis.xadd(stream, ["n": .text(value)])
        }
        if wrong.total > 0 { return false }
        throw CancellationError()
    }
}
