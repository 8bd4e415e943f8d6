extension StreamConsumer {
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

        /// How long one read waits for a message on the server (`BLOCK`). Default: 5 s. It bounds how long a consumer can
        /// fail to notice that its stream does not go on where it was.
        public var block: Duration = .seconds(5)

        /// What to do when a stream does not go on where it was. Default: `follow`, which reads what is there now.
        public var discontinuity: DiscontinuityPolicy = .follow

        /// How far to go back, in the time of the ids, when a server has lost entries: behind a failover, entries that
        /// were never seen may stand before the position. What was seen is left out, except for the last second before the
        /// loss, where two servers may have used the same ids, and as far as it is remembered, which is for about the last
        /// 4,096 messages of each stream. So some messages come twice. Default: 10 s.
        public var rewind: Duration = .seconds(10)

        /// How long a message may have been handled before Redis is told, with ``Start/resume(_:else:)``. Default: 1 s.
        public var positionInterval: Duration = .seconds(1)

        /// How many messages may have been handled before Redis is told, with ``Start/resume(_:else:)``; while one position
        /// is on its way, more. Default: 1000.
        public var positionCount: Int = 1000

        /// The delays between attempts after a failure of the connection or the server.
        public var backoff = Backoff()

        /// The defaults.
        public init() {}

        var size: BatchSize { BatchSize(batchSize...Swift.max(batchSize, maxBatchSize), bytes: prefetchBytes / 4) }

        var recovery: StreamConsumerStateMachine.Recovery { .init(policy: discontinuity, rewind: rewind) }

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
            guard rewind >= .zero, rewind <= .seconds(86_400) else {
                throw RedisError(.invalidConfiguration, "rewind must be from 0 to a day.")
            }
            guard positionInterval >= .milliseconds(1), positionInterval <= .seconds(3600), positionCount > 0 else {
                throw RedisError(
                    .invalidConfiguration,
                    "positionInterval must be from 1 ms to 1 h, and positionCount positive."
                )
            }
        }
    }
}
