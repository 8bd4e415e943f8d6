internal import NIOCore

extension GroupConsumer {
    /// - Throws: ``RedisError`` with ``RedisError/Code/invalidConfiguration`` for a configuration that this consumer
    ///   cannot run with.
    func validate() throws(RedisError) {
        try configuration.validate()
        try validateNames()
        guard configuration.deadLetter?.stream != stream else {
            throw RedisError(
                .invalidConfiguration,
                "The stream of dead letters is the stream \(stream) itself: the group would read its own dead letters."
            )
        }
    }

    /// When the consumer acknowledges a message, and so what happens to it if the process dies.
    public enum Acknowledgement: Sendable, Hashable {
        /// After it was handled: when the loop asks for the next message, or when the handler returns. At least once: a
        /// message that was not finished is delivered again.
        case afterHandling
        /// Before the handler gets it. At most once: a message that was not finished is lost.
        case onDelivery
        /// Never: the server does not keep the message pending (`NOACK`). At most once; a message that was read and
        /// that no handler got is lost too.
        case never
        /// By ``GroupMessage/acknowledge()`` or ``GroupConsumer/acknowledge(_:)``. At least once.
        case manual

        /// Whether the server has messages pending for the consumer at any time.
        var usesPendingList: Bool { self != .never }

        /// Whether the server keeps messages pending for the consumer while they are handled.
        var keepsPending: Bool { self == .afterHandling || self == .manual }
    }

    /// Where the handlers of ``GroupConsumer/run(concurrency:on:_:)`` run.
    public enum HandlerExecutor: Sendable, Hashable {
        /// On Swift's global concurrent executor: handlers run in parallel on all cores, and may compute for as long as
        /// they need.
        case concurrent
        /// On the event loop of the consumer's connection, so that one thread reads, hands out and handles: a message
        /// reaches its handler without waking another thread, which saves a good part of the time.
        ///
        /// For handlers that mostly wait, or compute for microseconds. Not for handlers that block the thread or
        /// compute for longer: meanwhile this event loop reads, acknowledges and notices nothing, for this consumer and
        /// for all others on it. Calls of such a handler to other actors run where those actors run.
        case eventLoop
    }

    /// What keeps an acknowledgement from taking effect on a message that another consumer owns.
    public enum Fencing: Sendable, Hashable {
        /// The lease, where it suffices: the command that gave this consumer the message, or renewed its lease, was
        /// sent less than three quarters of the lease ago. Otherwise a script that checks the owner. Costs nothing as a
        /// rule.
        case lease
        /// Always a script that checks the owner: about three times the server's time for each message.
        case always
    }

    /// Where a group begins that was lost while consuming, with all its pending messages.
    public enum GroupLossPolicy: Sendable, Hashable {
        /// After the last entry up to which the group had acknowledged everything, as far as this consumer remembers:
        /// later entries are delivered, some of them again. At the beginning if the stream was recreated.
        case resume
        /// At the beginning: all entries of the stream are delivered again.
        case beginning
        /// With the entries that are added from then on: entries that were not delivered are lost.
        case latest
        /// Nowhere: the consumer throws the error.
        case fail
    }

    /// The mechanisms that protect messages. A test removes one of them to show what it is needed for.
    package struct Safeguards: OptionSet, Sendable {
        package let rawValue: Int
        package init(rawValue: Int) { self.rawValue = rawValue }

        /// The consumer renews leases.
        package static let renewal = Safeguards(rawValue: 1)
        /// Settlements check the owner of a message.
        package static let fencing = Safeguards(rawValue: 2)
        /// The consumer reads its own pending list after a lost connection, and from time to time.
        package static let recovery = Safeguards(rawValue: 4)
        /// The consumer kills a lost connection on the server too.
        package static let staleConnectionKill = Safeguards(rawValue: 8)
        /// The consumer sends acknowledgements again whose replies were lost.
        package static let reacknowledge = Safeguards(rawValue: 16)
        /// A lost group is created again at the position up to which it had acknowledged everything.
        package static let watermark = Safeguards(rawValue: 32)
        /// At its end, the consumer returns messages that no handler got.
        package static let handOver = Safeguards(rawValue: 64)
        /// Consumers remove the names of consumers that are gone from the group.
        package static let nameRemoval = Safeguards(rawValue: 128)
        /// The consumer probes its rights to the commands at the start.
        package static let rightsProbe = Safeguards(rawValue: 256)
        /// The consumer returns messages that have waited too long for a handler.
        package static let returnOverdue = Safeguards(rawValue: 512)

        package static let all = Safeguards(rawValue: 1023)
    }

    /// How a group consumer reads, claims and acknowledges. The defaults are the safe ones.
    public struct Configuration: Sendable {
        /// When the consumer acknowledges messages. Default: `afterHandling`, which is at least once.
        public var acknowledgement: Acknowledgement = .afterHandling

        /// Where the group begins if the consumer has to create it when it starts. Default: `beginning`.
        public var start: XGROUP.Start = .beginning

        /// Where a group begins that was lost while consuming. Default: `resume`.
        public var groupLoss: GroupLossPolicy = .resume

        /// The most messages that one read brings (`COUNT`). Default: 100.
        public var batchSize: Int = 100

        /// The most messages that may wait for a handler when the consumer sends the next read. Default: 300. The
        /// consumer holds at most this number and one batch more. With room for three batches, two reads are in flight
        /// while there is a backlog, and the server never waits.
        public var prefetch: Int = 300

        /// For how long messages may wait for a handler of this consumer. Default: 100 ms.
        ///
        /// The consumer measures how long its handlers take, and asks for as many messages as they should finish in
        /// this time, in addition to those for free handlers; ``batchSize``, ``prefetch`` and ``prefetchBytes`` remain
        /// the bounds. So the consumers of the group share slow jobs, and read fast ones in full batches. A consumer
        /// begins with few messages. With zero, or with a ``prefetch`` of 0, it reads nothing while all its handlers
        /// are busy.
        ///
        /// The consumer returns messages to the group that still wait for longer than a third of ``claimIdleTime``.
        public var prefetchTime: Duration = .milliseconds(100)

        /// The most bytes of messages that may wait for a handler when the consumer sends the next read. Default: 4
        /// MiB. A read asks for no more messages than should fit into a quarter of that, if they are as large as the
        /// last ones.
        public var prefetchBytes: Int = 4 << 20

        /// How long one read waits for a message on the server (`BLOCK`). Default: 5 s. It bounds how long a consumer
        /// can miss a change that the server does not report.
        public var block: Duration = .seconds(5)

        /// The lease: how long a consumer owns a message without renewing it, before other consumers claim it. Default:
        /// 30 s; with `nil` the consumer claims nothing, and renews nothing.
        ///
        /// A consumer renews all messages that it holds, whether handled or waiting, every third of this time, and
        /// every five seconds at least: a slow handler keeps its message for as long as its process lives. So the time
        /// may be short: seconds. It says how long it takes until other consumers handle the messages of a process that
        /// crashed. Consumers of a group may have different times if all are 15 s or longer; else all should have the
        /// same.
        public var claimIdleTime: Duration? = .seconds(30)

        /// How often the consumer scans for messages to claim. Default: `nil`, which is a quarter of ``claimIdleTime``,
        /// and five seconds at most. A scan costs no round trip: the consumer sends it with a read.
        public var claimInterval: Duration?

        /// What keeps an acknowledgement from taking effect on a message that another consumer owns. Default: `lease`.
        public var fencing: Fencing = .lease

        /// How long a message waits after its handler has failed. Default: from a second, doubled with each failure, up
        /// to five minutes.
        public var retry: RetryPolicy = .exponential()

        /// Where messages go that cannot be handled, and when. Default: `nil`, nowhere and never: they are retried for
        /// ever.
        public var deadLetter: DeadLetter?

        /// What logs and dead letters say about an error that a handler has thrown, in addition to its type. Default:
        /// the message of a ``RedisError``, which is free of secrets and payloads; for any other error nothing but its
        /// type, since its description may quote the message.
        ///
        /// It is cut to 1,000 bytes, and control characters in it become spaces.
        public var describe: @Sendable (any Error) -> String = { error in
            (error as? RedisError)?.message ?? "\(type(of: error))"
        }

        /// How long handlers may run after a graceful shutdown has begun, before the consumer cancels their tasks.
        /// Default: 20 s.
        public var shutdownDeadline: Duration = .seconds(20)

        /// After which time the consumer reports, by an event and a warning, that a handler still runs; and again each
        /// time that time has doubled. Default: `nil`, which is ten times ``claimIdleTime``, and five minutes at least.
        ///
        /// The consumer checks this when it renews leases, as ``claimIdleTime`` says; without leases every ten seconds.
        /// For a loop, the handler is its body. It does not check where messages are acknowledged before they are
        /// handled.
        public var handlerWarning: Duration?

        /// The consumer calls it with each event. For tests.
        package var onEvent: (@Sendable (ConsumerEvent) -> Void)?

        /// The longest time between two renewals of a lease.
        package var renewalInterval: Duration = .seconds(5)

        /// The mechanisms that are on.
        package var safeguards: Safeguards = .all

        /// The consumer calls it with each change of the state of an entry; `nil` for an id that leaves the table. For
        /// tests and the simulation.
        package var onEntryChange: (@Sendable (StreamID, String?) -> Void)?

        /// The same closure, with the type that the table uses.
        var onChange: (@Sendable (StreamID, EntryState?) -> Void)? {
            guard let onEntryChange else { return nil }
            return { id, state in onEntryChange(id, state.map { "\($0)" }) }
        }

        /// After which part of the interval this consumer scans for messages to claim: from the whole of it (0) to
        /// three quarters (1). `nil` for a random part.
        package var claimJitter: Double?

        /// The delays between attempts after a failure of the connection or the server.
        public var backoff = Backoff()

        /// The defaults.
        public init() {}

        /// How often the consumer scans for messages to claim; `nil` for never.
        var effectiveClaimInterval: Duration? {
            guard acknowledgement.keepsPending, let claimIdleTime else { return nil }
            return claimInterval ?? Swift.max(.milliseconds(20), Swift.min(.seconds(5), claimIdleTime / 4))
        }

        /// How long a read may wait on the server. The lease of its messages starts when the consumer sends the read: a
        /// read that waited for a good part of the lease would bring messages whose lease has nearly expired.
        var readBlock: Duration {
            guard let lease else { return block }
            return Swift.max(.milliseconds(1), Swift.min(block, lease / 4))
        }

        /// After which time the consumer reports a handler that still runs.
        var effectiveHandlerWarning: Duration {
            handlerWarning ?? Swift.max(.seconds(300), (claimIdleTime ?? .zero) * 10)
        }

        /// After this time without a renewal, other consumers may claim a message; `nil` if no consumer does.
        var lease: Duration? { acknowledgement.keepsPending ? claimIdleTime : nil }

        /// How the consumer knows that it owns a message.
        var leasePolicy: LeasePolicy {
            let lease = lease.map { TimeAmount($0) }
            if !safeguards.contains(.fencing) { return .init(lease: lease, fencingTime: nil) }
            return .init(
                lease: lease,
                fencingTime: fencing == .always ? .zero : lease.map { .nanoseconds($0.nanoseconds / 4 * 3) }
            )
        }

        var size: BatchSize { BatchSize(batchSize...batchSize, bytes: prefetchBytes / 4) }

        func validate() throws(RedisError) {
            try backoff.validate()
            try retry.validate()
            try deadLetter?.validate()
            guard (1...100_000).contains(batchSize), prefetch >= 0, prefetchBytes > 0 else {
                throw RedisError(
                    .invalidConfiguration,
                    "batchSize must be 1 to 100000, prefetch 0 or more, and prefetchBytes positive."
                )
            }
            guard prefetchTime >= .zero, handlerWarning.map({ $0 > .zero }) ?? true else {
                throw RedisError(
                    .invalidConfiguration,
                    "prefetchTime must be 0 or more, and handlerWarning positive."
                )
            }
            guard block >= .milliseconds(1), block <= .seconds(3600) else {
                throw RedisError(.invalidConfiguration, "block must be from 1 ms to 1 h: a read never waits for ever.")
            }
            guard shutdownDeadline >= .zero, shutdownDeadline <= .seconds(86_400) else {
                throw RedisError(.invalidConfiguration, "shutdownDeadline must be 0 to 1 day.")
            }
            let longest = Duration.seconds(30 * 86_400)
            guard claimIdleTime.map({ $0 >= .milliseconds(50) && $0 <= longest }) ?? true else {
                throw RedisError(
                    .invalidConfiguration,
                    "claimIdleTime must be 50 ms to 30 days: the consumer renews a lease three times in that time."
                )
            }
            guard claimInterval.map({ $0 >= .milliseconds(1) && $0 <= longest }) ?? true else {
                throw RedisError(.invalidConfiguration, "claimInterval must be 1 ms to 30 days.")
            }
        }
    }
}
