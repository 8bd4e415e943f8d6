internal import Logging

/// Reads everything in one or several streams, from a position on: each reader sees every message.
///
/// ```swift
/// for try await message in StreamConsumer(redis, stream: "orders", from: .latest) { … }
/// ```
///
/// **Delivery.** The position is a concrete id from the first moment: whatever is added after that is read, also when the
/// connection is lost in between. It is held in the consumer, so that a process which restarts says itself where to go on;
/// with ``Start/resume(_:else:)`` it is kept in Redis as well, and a process goes on behind the last message that was
/// handled.
///
/// **Order.** The messages of a stream arrive in its order, each once. Messages of different streams have no order.
///
/// **Faults.** Lost connections and servers that are loading or failing over are waited for. What trying again does not
/// mend is thrown; see ``GroupConsumer`` for what that is. The loop ends without an error only when its task is cancelled
/// or a graceful shutdown begins.
///
/// **Discontinuities.** While nothing comes, after every interruption, and otherwise once in ``Configuration/block``, the
/// consumer looks at its streams, by a script that brings ids only. One that was deleted, made anew, or lost entries with a server is
/// reported in ``events``, and answered by ``Configuration/discontinuity``; entries that were trimmed before they were read
/// are reported, too. A user without the right to run scripts (`EVALSHA`, `EVAL`) looks with `XLEN`, and with `XINFO STREAM`
/// when something has changed; one without the right to look reads all the same, and nothing is noticed.
///
/// **Entries that are too large** for ``RESPLimits`` are passed over, with ``ConsumerEvent/unreadable(id:stream:reason:)``
/// and a warning.
///
/// Source: [XREAD](https://redis.io/docs/latest/commands/xread/).
public struct StreamConsumer: Sendable {
    let client: RedisClient

    /// The streams that are read, each with where reading begins.
    public let streams: [StreamKey: Start]

    /// How the consumer reads.
    public let configuration: Configuration

    let observer: ConsumerObserver
    let readiness = Readiness()

    /// What happens to the consumer: interruptions, discontinuities, entries lost. Holds the newest few hundred events that
    /// nobody has taken, so that nobody has to; for one loop at a time. Ends with the loop, or with the last of several;
    /// when another is begun, ask for `events` again.
    public var events: AsyncStream<ConsumerEvent> { observer.events }

    /// How often what has happened, in all iterators of this consumer together.
    public var counters: ConsumerCounters { observer.counters }

    /// Waits until the loop over this consumer that was begun last knows where it reads from, and a connection has been
    /// made: whatever is added after this has returned is delivered.
    ///
    /// ```swift
    /// let replies = StreamConsumer(redis, stream: "replies", from: .latest)
    /// let loop = Task { for try await reply in replies { … } }
    /// try await replies.ready()
    /// try await redis.xadd("requests", ["reply-to": "replies"])
    /// ```
    ///
    /// Waits for a loop to be begun, too. ``ConsumerEvent/ready`` tells the same.
    ///
    /// - Throws: ``RedisError``: why that loop has ended before, or ``RedisError/Code/cancelled``.
    public func ready() async throws(RedisError) { try await readiness.wait() }

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
        var logger = client.logger
        let names = streams.keys.map(\.rawValue).sorted()
        logger[metadataKey: LogKey.stream] =
            "\(names.count <= 10 ? names.joined(separator: ", ") : "\(names.count) streams")"
        observer = ConsumerObserver(
            log: ConsumerLog(logger),
            instruments: client.instruments.of(
                ConsumerIdentity(streams: streams.keys.sorted { $0.rawValue < $1.rawValue })
            )
        )
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

    func start() -> SequentialReader<MessageBatch> {
        let buffer = MessageBuffer<MessageBatch>(prefetch: configuration.prefetch, bytes: configuration.prefetchBytes)
        let loop = readiness.begin()
        let observer = observer
        observer.beginRun()
        let refuse = { @Sendable (error: RedisError) in
            buffer.fail(error)
            readiness.ended(loop, because: error)
            observer.endRun()
        }
        do throws(RedisError) {
            try validate()
        } catch {
            refuse(error)
            return SequentialReader(buffer)
        }
        let engine = StreamEngine(consumer: self, buffer: buffer, loop: loop)
        let keeper = engine.keeper
        client.background.start {
            await engine.run()
            observer.endRun()
        } otherwise: { error in
            refuse(error)
            keeper?.isOver()
        }
        guard let keeper else { return SequentialReader(buffer) }
        return SequentialReader(
            buffer,
            handled: { keeper.handled($0) },
            finish: { keeper.finish() },
            written: { await keeper.written() }
        )
    }

    private func validate() throws(RedisError) {
        try configuration.validate()
        guard !streams.isEmpty else {
            throw RedisError(.invalidArgument, "A stream consumer needs at least one stream.")
        }
        for (stream, start) in streams {
            try RedisError.check("stream", isName: stream.rawValue)
            try start.validate()
        }
    }

    /// Hands out the messages of a ``StreamConsumer``, one after the other.
    ///
    /// As long as messages are there already, `next()` returns them without suspending, on whatever actor it is called.
    public struct Iterator: AsyncIteratorProtocol {
        private let reading: SequentialReader<MessageBatch>

        fileprivate init(_ reading: SequentialReader<MessageBatch>) {
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
            do throws(RedisError) {
                if let message = try reading.nextIfReady() { return message }
            } catch {
                await reading.end()
                throw error
            }
            return try await reading.waitForNext()
        }
    }
}
