internal import Logging

/// Reads everything in one or several streams, from a position on: each reader sees every message.
///
/// ```swift
/// for try await message in StreamConsumer(redis, stream: "orders", from: .latest) { … }
/// ```
///
/// **Delivery.** The position is held in the consumer, and is a concrete id from the first moment: whatever is added after
/// that is read, also when the connection is lost in between. Nothing is kept in Redis: a process that restarts says
/// itself where to go on.
///
/// **Order.** The messages of a stream arrive in its order, each once. Messages of different streams have no order.
///
/// **Faults.** Lost connections and servers that are loading or failing over are waited for. What trying again does not
/// mend is thrown; see ``GroupConsumer`` for what that is. The loop ends without an error only when its task is cancelled
/// or a graceful shutdown begins.
///
/// Source: [XREAD](https://redis.io/docs/latest/commands/xread/).
public struct StreamConsumer: Sendable {
    /// Where reading begins.
    public enum Start: Sendable, Hashable {
        /// With the first entry.
        case beginning
        /// With what is added after the consumer has begun to read. Found out once, on the first connection.
        case latest
        /// Behind an entry.
        case after(StreamID)
        /// With the first entry added at this time or later: the time since 1970, by the clock of the server.
        case time(Duration)

        /// The id to read behind; `nil` if the server has to be asked.
        var position: StreamID? {
            switch self {
            case .beginning: return .zero
            case .latest: return nil
            case .after(let id): return id
            case .time(let time):
                return StreamID(milliseconds: UInt64(Swift.max(0, time.wholeMilliseconds))).previous ?? .zero
            }
        }
    }

    /// How a stream consumer reads.
    public struct Configuration: Sendable {
        /// Up to how many messages a read brings for each stream (`COUNT`), while there is no backlog. Default: 100.
        public var batchSize: Int = 100

        /// Up to how many messages a read brings for each stream while there is a backlog: with every full batch the next
        /// one may be twice as large. Default: 1000. Not below ``batchSize``, which counts if it is larger.
        public var maxBatchSize: Int = 1000

        /// Up to how many messages may wait to be handled when the next read is sent. Default: 1000.
        public var prefetch: Int = 1000

        /// Up to how many bytes of messages may wait to be handled when the next read is sent. Default: 4 MiB. A read
        /// asks for no more messages than should fit into a quarter of that, as large as the last ones were.
        public var prefetchBytes: Int = 4 << 20

        /// How long one read waits for a message on the server (`BLOCK`). Default: 5 s.
        public var block: Duration = .seconds(5)

        /// The delays between attempts after a failure of the connection or the server.
        public var backoff = Backoff()

        /// The defaults.
        public init() {}

        var size: BatchSize { BatchSize(batchSize...Swift.max(batchSize, maxBatchSize), bytes: prefetchBytes / 4) }

        func validate() throws(RedisError) {
            try backoff.validate()
            guard (1...100_000).contains(batchSize), (1...100_000).contains(maxBatchSize) else {
                throw RedisError(.invalidConfiguration, "batchSize and maxBatchSize must be 1 to 100000.")
            }
            guard prefetch >= 0, prefetchBytes > 0 else {
                throw RedisError(.invalidConfiguration, "prefetch must be 0 or more, and prefetchBytes positive.")
            }
            guard block >= .milliseconds(1), block <= .seconds(3600) else {
                throw RedisError(.invalidConfiguration, "block must be from 1 ms to 1 h: a read never waits for ever.")
            }
        }
    }

    let client: RedisClient

    /// The streams that are read, each with where reading begins.
    public let streams: [StreamKey: Start]

    /// How the consumer reads.
    public let configuration: Configuration

    /// A reader of one stream.
    ///
    /// Nothing is sent before somebody asks for messages. A stream that does not exist is waited for.
    public init(
        _ client: RedisClient,
        stream: StreamKey,
        from start: Start = .latest,
        configuration: Configuration = Configuration()
    ) {
        self.init(client, streams: [stream: start], configuration: configuration)
    }

    /// A reader of several streams. In a cluster they have to be in the same slot.
    public init(
        _ client: RedisClient,
        streams: [StreamKey: Start],
        configuration: Configuration = Configuration()
    ) {
        self.client = client
        self.streams = streams
        self.configuration = configuration
    }
}

extension StreamConsumer: AsyncSequence {
    /// A message of one of the streams.
    public typealias Element = StreamMessage
    /// Why reading cannot go on.
    public typealias Failure = RedisError

    /// Begins to read. Each iterator begins anew, where the consumer says.
    public func makeAsyncIterator() -> Iterator {
        Iterator(start())
    }

    /// The messages as an `AsyncThrowingStream`.
    ///
    /// Reading begins when this is called. The stream buffers nothing by itself: it asks the consumer for a message
    /// whenever it is asked for one. Iterating the consumer itself is the same, and faster.
    public var messages: AsyncThrowingStream<StreamMessage, any Error> {
        let reading = start()
        return AsyncThrowingStream { try await reading.next() }
    }

    private func start() -> MailboxReading<MessageBatch> {
        let mailbox = Mailbox<MessageBatch>(prefetch: configuration.prefetch, bytes: configuration.prefetchBytes)
        do throws(RedisError) {
            try configuration.validate()
            guard !streams.isEmpty else {
                throw RedisError(.invalidArgument, "A stream consumer needs at least one stream.")
            }
            let engine = StreamEngine(consumer: self, mailbox: mailbox)
            client.background.start {
                await engine.run()
            } otherwise: { error in
                mailbox.fail(error)
            }
        } catch {
            mailbox.fail(error)
        }
        return MailboxReading(mailbox)
    }

    /// Hands out the messages of a ``StreamConsumer``, one after the other.
    ///
    /// As long as messages are there already, `next()` returns them without suspending, on whatever actor it is called.
    public struct Iterator: AsyncIteratorProtocol {
        private let reading: MailboxReading<MessageBatch>

        fileprivate init(_ reading: MailboxReading<MessageBatch>) {
            self.reading = reading
        }

        /// The next message.
        ///
        /// - Returns: `nil` when the task is cancelled or a graceful shutdown has begun.
        /// - Throws: ``RedisError``, when reading cannot go on.
        public mutating func next() async throws -> StreamMessage? {
            try await next(isolation: #isolation)
        }

        /// The next message; see ``next()``.
        public mutating func next(isolation actor: isolated (any Actor)?) async throws(RedisError) -> StreamMessage? {
            if let message = try reading.nextIfReady() { return message }
            return try await reading.waitForNext()
        }
    }
}
