internal import Logging

/// A consumer of a group: the server gives each message of the stream to one consumer of the group, and keeps it
/// pending for that consumer until it is acknowledged.
///
/// One engine, three ways to use it:
///
/// ```swift
/// let consumer = GroupConsumer(redis, stream: "orders", group: "billing", consumer: "billing-1")
/// try await consumer.run(concurrency: 16) { message in … }  // a return acknowledges, a throw means redelivery
/// for try await message in consumer { … }                   // acknowledged when the loop asks for the next one
/// for try await message in consumer.messages { … }          // the same as an AsyncThrowingStream
/// ```
///
/// **Delivery.** At least once, unless the configuration says otherwise. When a process dies, a consumer of the group
/// claims the messages that it had not acknowledged, after ``Configuration/claimIdleTime``; a process that lives keeps
/// its messages, however slow its handlers are. A message whose handler throws is handled again, as
/// ``Configuration/retry`` says. So a handler must expect to see a message more than once. When a consumer starts, it
/// first gets the messages that are pending under its own name.
///
/// **Order.** New messages arrive in the order of the stream. Redelivered messages arrive between them.
///
/// **Faults.** The consumer creates the group and the stream when they are missing, at the start and later. It waits
/// while a connection is lost, and while a server is loading, failing over or full. It throws errors that a retry does
/// not mend (a wrong password, a missing right, a key that holds no stream, at the start also a server that cannot be
/// reached): a loop never just ends, except when its task is cancelled or a graceful shutdown begins.
///
/// Source: [XREADGROUP](https://redis.io/docs/latest/commands/xreadgroup/),
/// [XAUTOCLAIM](https://redis.io/docs/latest/commands/xautoclaim/),
/// [XACK](https://redis.io/docs/latest/commands/xack/).
public struct GroupConsumer: Sendable {
    let client: RedisClient

    /// The stream that the consumer reads.
    public let stream: StreamKey

    /// The group that the consumer belongs to.
    public let group: String

    /// The name of this consumer, under which the server keeps its pending messages.
    public let name: String

    /// How the consumer reads, claims and acknowledges.
    public let configuration: Configuration

    let observer: ConsumerObserver

    /// The route to the node that serves the stream.
    let route: any Route

    /// The events of the consumer, newest last. You need not read them: the stream keeps 256 events, and drops the
    /// oldest ones to make room for newer ones. For one reader at a time; copies of a consumer share their events.
    ///
    /// The stream ends with the run, after its last event: when ``run(concurrency:on:_:)-(_,_,Handler)`` returns or
    /// throws, or when a loop ends; with several runs at a time, when the last one ends. A consumer that runs again has
    /// a new stream: get `events` again. Without a run, the stream ends when the last copy of the consumer is gone.
    public var events: AsyncStream<ConsumerEvent> { observer.events }

    /// The messages that the consumer handles, and those that wait, at this moment: their numbers, and the ages of the
    /// oldest. Includes all copies of the consumer, and all its runs.
    ///
    /// The cost grows with the number of handlers: call it every few seconds, for a gauge.
    public func snapshot() -> ConsumerSnapshot { observer.snapshot() }

    /// Counts of what has happened since the consumer was created. Copies of a consumer share their counters.
    public var counters: ConsumerCounters { observer.counters }

    /// Creates a consumer of a group.
    ///
    /// It sends nothing before you ask for messages.
    ///
    /// - Parameters:
    ///   - client: The client whose connections are used. Each running consumer leases one of them.
    ///   - stream: The stream to read.
    ///   - group: The group that the consumer belongs to.
    ///   - consumer: The consumer's name. Two consumers that run at the same time must not share one. With a name that
    ///     stays the same over restarts, a consumer continues with its pending messages. Default: `generated:` with
    ///     host name, process and a random number; other consumers remove such a name once no message is pending for
    ///     it.
    ///   - configuration: How to read, claim and acknowledge.
    public init(
        _ client: RedisClient,
        stream: StreamKey,
        group: String,
        consumer: String? = nil,
        configuration: Configuration = Configuration()
    ) {
        self.client = client
        self.stream = stream
        self.group = group
        self.name = consumer ?? ConsumerName.next()
        self.configuration = configuration
        route = client.router.route(for: stream)
        var logger = client.logger
        logger[metadataKey: LogKey.stream] = "\(stream)"
        logger[metadataKey: LogKey.group] = "\(group)"
        logger[metadataKey: LogKey.consumer] = "\(name)"
        observer = ConsumerObserver(onEvent: configuration.onEvent, log: ConsumerLog(logger))
    }

    /// Acknowledges messages and waits for the server's confirmation.
    ///
    /// - Returns: How many of them were still pending for this consumer; the others had been acknowledged before, or
    ///   another consumer owns them now.
    /// - Throws: ``RedisError``, with ``RedisError/Code/invalidArgument`` for messages of another stream or group. The
    ///   consumer then still holds the messages whose acknowledgement the server did not confirm; you can acknowledge
    ///   all of them again.
    public func acknowledge(_ messages: some Sequence<GroupMessage>) async throws(RedisError) -> Int {
        let messages = Array(messages)
        guard !messages.isEmpty else { return 0 }
        guard messages.allSatisfy({ $0.stream == stream && $0.batch.pending.group == group }) else {
            throw RedisError(
                .invalidArgument,
                "A message is of another stream or group: use the consumer it came from."
            )
        }
        var count = 0
        for first in stride(from: 0, to: messages.count, by: SettlementCommands.maxAcknowledged) {
            let part = messages.dropFirst(first).prefix(SettlementCommands.maxAcknowledged)
            let confirmed = Swift.min(try await acknowledge(part.map(\.id)).plausible, part.count)
            count += confirmed
            observer.acknowledged(confirmed)
            for message in part {
                message.batch.pending.change { $0.acknowledgedElsewhere(message.batch, message.position) }
            }
        }
        return count
    }

    private func acknowledge(_ ids: [StreamID]) async throws(RedisError) -> Int {
        guard configuration.acknowledgement.keepsPending, configuration.leasePolicy.fencingTime != nil else {
            return try await client.execute(xack(ids))
        }
        // The call may wait for a connection until after the fencing deadline: a script checks the owner.
        let call = call(.acknowledge, ids: ids)
        return try call.integer(try await client.run(call))
    }

    /// Throws for names that are empty or contain control characters.
    func validateNames() throws(RedisError) {
        try RedisError.check("stream", isName: stream.rawValue)
        try RedisError.check("group", isName: group)
        try RedisError.check("consumer", isName: name)
        if let deadLetter = configuration.deadLetter {
            try RedisError.check("deadLetter.stream", isName: deadLetter.stream.rawValue)
            try client.router.checkSlots(of: [stream, deadLetter.stream])
        }
    }

    /// - Parameter concurrency: How many messages the consumer handles at a time.
    func makeDispatcher(concurrency: Int) -> Dispatcher {
        let pending = PendingMessages(
            group: group,
            keepsPending: configuration.acknowledgement.keepsPending,
            slotKey: client.router.cluster == nil ? nil : stream,
            concurrency: concurrency,
            leasePolicy: configuration.leasePolicy,
            rules: FailureRules(
                retry: configuration.retry,
                deadLetter: configuration.deadLetter,
                describe: configuration.describe
            ),
            observer: observer,
            returnsUnhandled: configuration.safeguards.contains(.handOver),
            onChange: configuration.onChange,
            randomness: client.randomness,
            eventLoop: client.nextEventLoop(),
            leaseClock: route.leaseClock
        )
        return Dispatcher(
            pending,
            prefetch: configuration.prefetch,
            bytes: configuration.prefetchBytes,
            budget: PrefetchBudget(
                time: configuration.prefetchTime,
                concurrency: concurrency,
                batch: configuration.batchSize,
                prefetch: configuration.prefetch
            )
        )
    }
}
