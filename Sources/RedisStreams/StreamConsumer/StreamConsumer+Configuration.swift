extension StreamConsumer {
    /// How a stream consumer reads.
    public struct Configuration: Sendable {
        /// The maximum number of messages of each stream in one read (`COUNT`) while there is no backlog. Default: 100.
        public var batchSize: Int = 100

        /// The maximum number of messages of each stream in one read while there is a backlog: after every full batch,
        /// the next read asks for up to twice as many. Default: 1000. A value below ``batchSize`` has no effect:
        /// ``batchSize`` counts then.
        public var maxBatchSize: Int = 1000

        /// The consumer sends the next read while at most this many messages wait to be handled. Default: 1000.
        public var prefetch: Int = 1000

        /// The consumer sends the next read while the messages that wait to be handled have at most this many bytes.
        /// Default: 4 MiB. A read asks for no more messages than should fit into a quarter of that, going by the size
        /// of the last ones.
        public var prefetchBytes: Int = 4 << 20

        /// How long one read waits for a message on the server (`BLOCK`). Default: 5 s. This bounds how long the
        /// consumer may take to notice that a stream was recreated or lost entries.
        public var block: Duration = .seconds(5)

        /// What to do when a stream no longer continues from the consumer's position. Default: `follow`, which reads
        /// what is in the stream now.
        public var discontinuity: DiscontinuityPolicy = .follow

        /// How far the consumer goes back, in the time of the ids, when a server has lost entries. After a failover,
        /// entries that the consumer never received may have ids below its position. It filters out the messages that
        /// it has delivered before, as far as it remembers their ids, which is for about the last 4,096 messages of
        /// each stream. It does not filter the last second before the loss, where two servers may have used the same
        /// ids. So some messages come twice. Default: 10 s.
        public var rewind: Duration = .seconds(10)

        /// How long the consumer may wait, after a message was handled, before it saves the position in Redis, with
        /// ``Start/resume(_:else:)``. Default: 1 s.
        public var positionInterval: Duration = .seconds(1)

        /// How many messages may be handled before the consumer saves the position in Redis, with
        /// ``Start/resume(_:else:)``; more while a save is in flight. Default: 1000.
        public var positionCount: Int = 1000

        /// The delays between attempts after a failure of the connection or the server.
        public var backoff = Backoff()

        /// Creates a configuration with the defaults.
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
                throw RedisError(.invalidConfiguration, "block must be from 1 ms to 1 h.")
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
