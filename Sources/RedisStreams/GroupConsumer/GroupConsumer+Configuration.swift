internal import NIOCore

extension GroupConsumer {
    /// - Throws: ``RedisError`` with ``RedisError/Code/invalidConfiguration`` for what this consumer cannot do.
    func validate() throws(RedisError) {
        try configuration.validate()
        try validateNames()
        guard configuration.deadLetter?.stream != stream else {
            throw RedisError(
                .invalidConfiguration,
                "The stream of dead letters is the stream \(stream) itself: the group would read what it gave up."
            )
        }
    }

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

    /// By what an acknowledgement is kept from taking effect on a message that is others' by now.
    public enum Fencing: Sendable, Hashable {
        /// By the lease, where that suffices: what gave this consumer the message, or renewed that, was sent less than
        /// three quarters of the lease ago. Else by a script that looks at the owner. Costs nothing as a rule.
        case lease
        /// Always by a script that looks at the owner: about three times the server's time for each message.
        case always
    }

    /// Where a group begins that was lost while consuming, with all that it had pending.
    public enum GroupLossPolicy: Sendable, Hashable {
        /// Behind the last entry up to which everything was done with, as far as this consumer remembers: what came later is
        /// delivered, some of it again. At the beginning if the stream was made anew.
        case resume
        /// At the beginning: everything that is there is delivered again.
        case beginning
        /// With what is added from then on: what was not delivered is lost.
        case latest
        /// Nowhere: the error is thrown.
        case fail
    }

    /// What can be left out to show what it is there for.
    package struct Safeguards: OptionSet, Sendable {
        package let rawValue: Int
        package init(rawValue: Int) { self.rawValue = rawValue }

        /// Leases are renewed.
        package static let renewal = Safeguards(rawValue: 1)
        /// Settlements look at the owner.
        package static let fencing = Safeguards(rawValue: 2)
        /// The own pending list is looked through after a lost connection, and from time to time.
        package static let recovery = Safeguards(rawValue: 4)
        /// A connection that was lost is ended on the server too.
        package static let staleConnectionKill = Safeguards(rawValue: 8)
        /// Acknowledgements whose replies were lost are sent again.
        package static let reacknowledge = Safeguards(rawValue: 16)
        /// Lost groups are created where they were.
        package static let watermark = Safeguards(rawValue: 32)
        /// Messages that were not handed out are given back at the end.
        package static let handOver = Safeguards(rawValue: 64)
        /// Names of consumers that are gone are removed from the group.
        package static let nameRemoval = Safeguards(rawValue: 128)
        /// The rights to the commands are probed at the start.
        package static let rightsProbe = Safeguards(rawValue: 256)

        /// What has waited for a handler for too long is given back.
        package static let giveBack = Safeguards(rawValue: 512)

        package static let all = Safeguards(rawValue: 1023)
    }

    /// How a group consumer reads, claims and acknowledges. The defaults are the safe ones.
    public struct Configuration: Sendable {
        /// When messages are acknowledged. Default: `afterHandling`, which is at least once.
        public var acknowledgement: Acknowledgement = .afterHandling

        /// Where the group begins if it has to be created when the consumer starts. Default: `beginning`.
        public var start: XGROUP.Start = .beginning

        /// Where a group begins that has vanished while consuming. Default: `resume`.
        public var groupLoss: GroupLossPolicy = .resume

        /// Up to how many messages one read brings (`COUNT`). Default: 100.
        public var batchSize: Int = 100

        /// Up to how many messages may wait to be handled when the next read is sent. Default: 300. The most that are
        /// held is this and one batch more. With room for three batches, two reads are on their way while there is a
        /// backlog, and the server never waits.
        public var prefetch: Int = 300

        /// For how long messages may wait for a handler of this consumer. Default: 100 ms.
        ///
        /// The consumer measures how long its handlers take, and asks for as many messages as they should be done with in
        /// this time, besides those that handlers are free for; ``batchSize``, ``prefetch`` and ``prefetchBytes`` remain the
        /// bounds. So slow jobs are shared among the consumers of the group, and fast ones are read in full batches. It
        /// begins with few messages. With zero, or with a ``prefetch`` of 0, it reads nothing while all its handlers are busy.
        ///
        /// What has waited for longer than a third of ``claimIdleTime`` all the same is given back to the group.
        public var prefetchTime: Duration = .milliseconds(100)

        /// Up to how many bytes of messages may wait to be handled when the next read is sent. Default: 4 MiB. A read
        /// asks for no more messages than should fit into a quarter of that, as large as the last ones were.
        public var prefetchBytes: Int = 4 << 20

        /// How long one read waits for a message on the server (`BLOCK`). Default: 5 s. It bounds how long a consumer
        /// can fail to notice what the server does not tell it.
        public var block: Duration = .seconds(5)

        /// The lease: how long a message is a consumer's without being renewed, before others claim it. Default: 30 s;
        /// `nil` claims nothing, and renews nothing.
        ///
        /// Everything that a consumer holds, handled or waiting to be, is renewed every third of this time, and every five
        /// seconds at least: a slow handler keeps its message for as long as its process lives. So the time may be short:
        /// seconds. It says how long it takes until the messages of a process that died are handled by others. Consumers of
        /// a group may have different times if all are 15 s or longer; else all should have the same.
        public var claimIdleTime: Duration? = .seconds(30)

        /// How often to look for messages to claim. Default: `nil`, which is a quarter of ``claimIdleTime``, and five
        /// seconds at most. Looking costs no round trip: it goes with a read.
        public var claimInterval: Duration?

        /// By what an acknowledgement is kept from taking effect on what is others' by now. Default: `lease`.
        public var fencing: Fencing = .lease

        /// How long a message waits after its handler has failed. Default: from a second, doubled with each failure, up to
        /// five minutes.
        public var retry: RetryPolicy = .exponential()

        /// Where messages go that cannot be handled, and when. Default: `nil`, nowhere and never: they are tried for ever.
        public var deadLetter: DeadLetter?

        /// What logs and dead letters tell of an error that a handler has thrown, besides its type. Default: the message of a
        /// ``RedisError``, which is free of secrets and payloads; of any other error nothing but its type, since its
        /// description may quote the message.
        ///
        /// It is cut to 1,000 bytes, and control characters in it become spaces.
        public var describe: @Sendable (any Error) -> String = { error in
            (error as? RedisError)?.message ?? "\(type(of: error))"
        }

        /// How long handlers may go on when a graceful shutdown has begun, before their tasks are cancelled. Default: 20 s.
        public var shutdownDeadline: Duration = .seconds(20)

        /// After which time it is told, by an event and a warning, that a handler is still at work; and again each time the
        /// time has doubled. Default: `nil`, which is ten times ``claimIdleTime``, and five minutes at least.
        ///
        /// It is looked at when leases are renewed, every third of ``claimIdleTime``; without leases every ten seconds. For
        /// a loop, the handler is its body. Not where messages are acknowledged before they are handled.
        public var handlerWarning: Duration?

        /// Called with each event, for tests.
        package var onEvent: (@Sendable (ConsumerEvent) -> Void)?

        /// How often leases are renewed at least.
        package var renewalInterval: Duration = .seconds(5)

        /// What is not left out.
        package var safeguards: Safeguards = .all

        /// Where between three quarters of the interval (1) and the whole of it (0) this consumer looks; `nil` draws lots.
        package var claimJitter: Double?

        /// The delays between attempts after a failure of the connection or the server.
        public var backoff = Backoff()

        /// The defaults.
        public init() {}

        /// How often to look, or `nil` for never.
        var effectiveClaimInterval: Duration? {
            guard acknowledgement.keepsPending, let claimIdleTime else { return nil }
            return claimInterval ?? Swift.max(.milliseconds(20), Swift.min(.seconds(5), claimIdleTime / 4))
        }

        /// How long a read may wait on the server. What it brings counts as given when the read was sent: one that waited for
        /// longer than a good part of the lease would bring messages whose lease is over.
        var readBlock: Duration {
            guard let lease else { return block }
            return Swift.max(.milliseconds(1), Swift.min(block, lease / 4))
        }

        /// After which time a handler is told to run for long.
        var effectiveHandlerWarning: Duration {
            handlerWarning ?? Swift.max(.seconds(300), (claimIdleTime ?? .zero) * 10)
        }

        /// The time after which others may claim what is not renewed; `nil` if nobody does.
        var lease: Duration? { acknowledgement.keepsPending ? claimIdleTime : nil }

        /// By what it is known that a message is this consumer's.
        var leasePolicy: SettlementLedger.LeasePolicy {
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
                    "claimIdleTime must be 50 ms to 30 days: it is renewed three times in that time."
                )
            }
            guard claimInterval.map({ $0 >= .milliseconds(1) && $0 <= longest }) ?? true else {
                throw RedisError(.invalidConfiguration, "claimInterval must be 1 ms to 30 days.")
            }
        }
    }
}
