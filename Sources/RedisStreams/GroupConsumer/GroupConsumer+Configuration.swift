extension GroupConsumer {
    /// When a message is acknowledged, and so what happens to it if the process dies.
    public enum Acknowledgement: Sendable, Hashable {
        /// After it has been handled: when the loop asks for the next message, or when the handler returns. At least
        /// once: what was not finished is delivered again.
        case afterHandling
        /// Before it is handed out. At most once: what was not finished is lost.
        case onDelivery
        /// Never: the group does not keep track of it (`NOACK`). At most once, and what was read and not handed out is
        /// lost too.
        case never
        /// By ``GroupMessage/acknowledge()`` or ``GroupConsumer/acknowledge(_:)``. At least once.
        case manual

        /// Whether messages are pending for the consumer on the server at any time.
        var usesPendingList: Bool { self != .never }

        /// Whether the server keeps messages pending for the consumer while they are handled.
        var keepsPending: Bool { self == .afterHandling || self == .manual }
    }

    /// Where the handlers of ``GroupConsumer/run(concurrency:on:_:)`` run.
    public enum HandlerExecutor: Sendable, Hashable {
        /// On the threads that Swift has for all tasks: handlers work side by side, on all cores, and may compute for as
        /// long as they need.
        case concurrent
        /// On the event loop of the consumer's connection, which reads, hands out and handles on one thread: a message
        /// reaches its handler without another thread being woken, which saves a good part of the way.
        ///
        /// For handlers that mostly wait, or compute for microseconds. Not for those that block the thread or compute for
        /// longer: meanwhile nothing on this event loop is read, acknowledged or noticed, for this consumer and all
        /// others there. What such a handler calls on other actors runs where those run.
        case eventLoop
    }

    /// Something that happened while consuming, for logs and metrics. Nothing depends on anybody looking.
    public enum Event: Sendable {
        /// The group was missing, and has been created; the stream too, if it was missing.
        case groupCreated
        /// Messages that had been pending for too long were taken over.
        case claimed(count: Int)
        /// Entries were deleted or trimmed while they were pending: nobody will handle them any more.
        case deleted(ids: [StreamID])
        /// The connection or the server failed; the consumer goes on after `delay`.
        case interrupted(RedisError, retryAfter: Duration)
    }

    /// How a group consumer reads, claims and acknowledges. The defaults are the safe ones.
    public struct Configuration: Sendable {
        /// When messages are acknowledged. Default: `afterHandling`, which is at least once.
        public var acknowledgement: Acknowledgement = .afterHandling

        /// Where the group begins if it has to be created when the consumer starts. Default: `beginning`. A group that
        /// has vanished while consuming is always created at the beginning, so that nothing is skipped.
        public var start: XGROUP.Start = .beginning

        /// Up to how many messages one read brings (`COUNT`). Default: 100.
        public var batchSize: Int = 100

        /// Up to how many messages may wait to be handled when the next read is sent. Default: 300. The most that are
        /// held is this and one batch more. With room for three batches, two reads are on their way while there is a
        /// backlog, and the server never waits.
        public var prefetch: Int = 300

        /// Up to how many bytes of messages may wait to be handled when the next read is sent. Default: 4 MiB. A read
        /// asks for no more messages than should fit into a quarter of that, as large as the last ones were.
        public var prefetchBytes: Int = 4 << 20

        /// How long one read waits for a message on the server (`BLOCK`). Default: 5 s. It bounds how long a consumer
        /// can fail to notice what the server does not tell it.
        public var block: Duration = .seconds(5)

        /// How long a message must have been pending before it is claimed from the consumer that holds it. Default:
        /// 60 s; `nil` claims nothing. Longer than handling a message ever takes, since otherwise it is handled twice
        /// at the same time.
        public var claimIdleTime: Duration? = .seconds(60)

        /// How often to look for messages to claim. Default: `nil`, which is a quarter of ``claimIdleTime``, and five
        /// seconds at most. Looking costs no round trip: it goes with a read.
        public var claimInterval: Duration?

        /// Where between three quarters of the interval (1) and the whole of it (0) this consumer looks; `nil` draws lots.
        package var claimJitter: Double?

        /// The delays between attempts after a failure of the connection or the server.
        public var backoff = Backoff()

        /// Called with what happens, on the consumer's event loop: it must return at once. Default: `nil`.
        public var onEvent: (@Sendable (Event) -> Void)?

        /// The defaults.
        public init() {}

        /// How often to look, or `nil` for never.
        var effectiveClaimInterval: Duration? {
            guard acknowledgement.keepsPending, let claimIdleTime else { return nil }
            return claimInterval ?? Swift.max(.milliseconds(20), Swift.min(.seconds(5), claimIdleTime / 4))
        }

        var size: BatchSize { BatchSize(batchSize...batchSize, bytes: prefetchBytes / 4) }

        func validate() throws(RedisError) {
            try backoff.validate()
            guard (1...100_000).contains(batchSize), prefetch >= 0, prefetchBytes > 0 else {
                throw RedisError(
                    .invalidConfiguration,
                    "batchSize must be 1 to 100000, prefetch 0 or more, and prefetchBytes positive."
                )
            }
            guard block >= .milliseconds(1), block <= .seconds(3600) else {
                throw RedisError(.invalidConfiguration, "block must be from 1 ms to 1 h: a read never waits for ever.")
            }
            for duration in [claimIdleTime, claimInterval].compactMap({ $0 }) {
                guard duration >= .milliseconds(1), duration <= .seconds(30 * 86_400) else {
                    throw RedisError(.invalidConfiguration, "claimIdleTime and claimInterval must be 1 ms to 30 days.")
                }
            }
        }
    }
}
