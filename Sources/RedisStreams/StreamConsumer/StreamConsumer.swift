internal import Logging

/// Reads all entries of one or several streams from a position on. Every consumer receives every message.
///
/// ```swift
/// for try await message in StreamConsumer(redis, stream: "orders", from: .latest) { … }
/// ```
///
/// **Delivery.** The consumer turns its start into a concrete id before it reads, and reads every entry that is added
/// after that, also when the connection is lost in between. It holds the position in memory, so a process that restarts
/// has to say where to start. With ``Start/resume(_:else:)`` the consumer saves the position in Redis as well, and a
/// restarted process continues after the last message that was handled.
///
/// **Order.** The messages of one stream arrive in stream order, each once. Messages of different streams have no
/// order.
///
/// **Failures.** The consumer waits and tries again when a connection is lost, or when the server is loading or failing
/// over. It throws errors that trying again does not fix; see ``GroupConsumer`` for which these are. The loop ends
/// without an error only when its task is cancelled or a graceful shutdown begins.
///
/// **Discontinuities.** The consumer probes its streams while no entries arrive, after every interruption, and
/// otherwise once per ``Configuration/block``, with a script that returns ids only. When a stream was deleted or
/// recreated, or lost entries in a crash or failover, the consumer reports that in ``events`` and does what
/// ``Configuration/discontinuity`` says. It also reports entries that were trimmed before it read them. If the user of
/// the connection has no right to run scripts (`EVALSHA`, `EVAL`), the consumer probes with `XLEN`, and with `XINFO
/// STREAM` when something has changed. If the user has no right to those either, the consumer reads all the same, and
/// notices no discontinuity.
///
/// **Entries that are too large** for ``RESPLimits`` are skipped: the consumer reports each with
/// ``ConsumerEvent/unreadable(id:stream:reason:)`` and logs a warning.
///
/// Source: [XREAD](https://redis.io/docs/latest/commands/xread/).
public struct StreamConsumer: Sendable {
    let client: RedisClient

    /// The streams that the consumer reads, each with the position where reading starts.
    public let streams: [StreamKey: Start]

    /// How the consumer reads.
    public let configuration: Configuration

    let observer: ConsumerObserver
    let readiness = Readiness()

    /// The events of the consumer, such as interruptions, discontinuities and lost entries.
    ///
    /// The sequence keeps the newest few hundred events that nobody has read, and drops older ones, so nobody has to
    /// read it. One task at a time may iterate it. It ends with the loop over the consumer, or with the last of several
    /// loops; when another loop starts, get `events` again.
    public var events: AsyncStream<ConsumerEvent> { observer.events }

    /// How often each event has happened, in all iterators of this consumer together.
    public var counters: ConsumerCounters { observer.counters }

    /// Waits until the most recently started loop over this consumer knows its positions and has a connection: every
    /// entry that is added after this returns is delivered.
    ///
    /// ```swift
    /// let replies = StreamConsumer(redis, stream: "replies", from: .latest)
    /// let loop = Task { for try await reply in replies { … } }
    /// try await replies.ready()
    /// try await redis.xadd("requests", ["reply-to": "replies"])
    /// ```
    ///
    /// If no loop has started, this waits for one. ``ConsumerEvent/ready`` reports the same moment.
    ///
    /// - Throws: ``RedisError``: the reason why that loop has ended, or ``RedisError/Code/cancelled``.
    public func ready() async throws(RedisError) { try await readiness.wait() }

    /// Creates a consumer of one stream.
    ///
    /// The consumer sends nothing before a loop asks for messages. It waits for a stream that does not exist.
    public init(
        _ client: RedisClient,
        stream: StreamKey,
        from start: Start = .latest,
        configuration: Configuration = Configuration()
    ) {
        self.init(client, streams: [stream: start], configuration: configuration)
    }

    /// Creates a consumer of several streams. In a cluster, they have to be in the same slot.
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
    /// The reason why the consumer cannot continue reading.
    public typealias Failure = RedisError

    /// Starts reading. Each iterator reads on its own, from the start that this consumer was given.
    public func makeAsyncIterator() -> Iterator {
        Iterator(start())
    }

    /// The messages as an `AsyncThrowingStream`.
    ///
    /// Reading starts when this property is accessed. The stream has no buffer of its own: it asks the consumer for a
    /// message whenever it is asked for one. Iterating the consumer itself gives the same messages, and is faster.
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
            keeper?.close()
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
        try client.router.checkSlots(of: Array(streams.keys))
        try configuration.validate()
        guard !streams.isEmpty else {
            throw RedisError(.invalidArgument, "A stream consumer needs at least one stream.")
        }
        for (stream, start) in streams {
            try RedisError.check("stream", isName: stream.rawValue)
            try start.validate()
        }
    }

    /// Delivers the messages of a ``StreamConsumer``, one after the other.
    ///
    /// While messages are buffered, `next()` returns them without suspending, on whatever actor it is called.
    public struct Iterator: AsyncIteratorProtocol {
        private let reading: SequentialReader<MessageBatch>

        fileprivate init(_ reading: SequentialReader<MessageBatch>) {
            self.reading = reading
        }

        /// The next message.
        ///
        /// - Returns: `nil` when the task is cancelled or a graceful shutdown has begun.
        /// - Throws: ``RedisError``, when the consumer cannot continue reading.
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
