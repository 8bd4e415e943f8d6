internal import Logging

/// Takes part in a consumer group: each message of the stream goes to one of the group's consumers, and stays pending
/// for it until it is acknowledged.
///
/// One engine, three ways to use it:
///
/// ```swift
/// let consumer = GroupConsumer(redis, stream: "orders", group: "billing", consumer: "billing-1")
/// try await consumer.run(concurrency: 16) { message in … }  // return acknowledges, throw leaves it for redelivery
/// for try await message in consumer { … }                   // acknowledged when the loop asks for the next one
/// for try await message in consumer.messages { … }          // the same as an AsyncThrowingStream
/// ```
///
/// **Delivery.** At least once, unless the configuration says otherwise: what a process that died had not acknowledged is
/// taken over by a consumer of the group after ``Configuration/claimIdleTime``; as long as it lives it keeps its messages,
/// however slow its handlers are. What a handler has thrown at is tried again by ``Configuration/retry``. So handlers must
/// bear to see a message again. On a start, a consumer first gets what is pending under its own name.
///
/// **Order.** New messages arrive in the order of the stream. Redelivered ones come in between.
///
/// **Faults.** The group and the stream are created when they are missing, at the start and later. Lost connections and
/// servers that are loading, failing over or full are waited for. What trying again does not mend (a wrong password, a
/// missing right, a key that holds no stream, at the start also a server that is not to be reached) is thrown: a loop
/// never just ends, except when its task is cancelled or a graceful shutdown begins.
///
/// Source: [XREADGROUP](https://redis.io/docs/latest/commands/xreadgroup/),
/// [XAUTOCLAIM](https://redis.io/docs/latest/commands/xautoclaim/), [XACK](https://redis.io/docs/latest/commands/xack/).
public struct GroupConsumer: Sendable {
    let client: RedisClient

    /// The stream that is read.
    public let stream: StreamKey

    /// The group that the consumer belongs to.
    public let group: String

    /// The name of this consumer, under which the server keeps what is pending for it.
    public let name: String

    /// How the consumer reads, claims and acknowledges.
    public let configuration: Configuration

    let observer: ConsumerObserver

    /// What happens to the consumer, newest last. Nothing depends on anybody looking: when nobody does, the oldest of 256
    /// make room for newer ones. For one reader at a time; copies of a consumer share their events.
    ///
    /// The stream ends with the run, behind its last event: when ``run(concurrency:on:_:)-(_,_,Handler)`` returns or throws,
    /// or when a loop is left; of several runs at a time, with the last. A consumer that runs again has a new stream: ask for
    /// `events` again. It ends without a run when the last copy of the consumer is gone.
    public var events: AsyncStream<ConsumerEvent> { observer.events }

    /// What the consumer is at work on, and what waits, at this moment. Copies of a consumer, and what runs at the same time
    /// on one, count together.
    ///
    /// Costs time with the number of handlers: meant to be asked every few seconds, for a gauge.
    public func snapshot() -> ConsumerSnapshot { observer.snapshot() }

    /// How often what has happened to the consumer, since it was made. Copies of a consumer share their counters.
    public var counters: ConsumerCounters { observer.counters }

    /// A consumer of a group.
    ///
    /// Nothing is sent before somebody asks for messages.
    ///
    /// - Parameters:
    ///   - client: The client whose connections are used. Each running consumer leases one of them.
    ///   - stream: The stream to read.
    ///   - group: The group to read for.
    ///   - consumer: The consumer's name. Two that run at the same time must not share one. A name that stays the same
    ///     over restarts lets a consumer go on with what it held. Default: `generated:` with host name, process and a random
    ///     number; other consumers remove such a name once it holds nothing.
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
        var logger = client.logger
        logger[metadataKey: LogKey.stream] = "\(stream)"
        logger[metadataKey: LogKey.group] = "\(group)"
        logger[metadataKey: LogKey.consumer] = "\(name)"
        observer = ConsumerObserver(onEvent: configuration.onEvent, log: ConsumerLog(logger))
    }

    /// Acknowledges messages and waits for the server's word.
    ///
    /// - Returns: How many of them were still pending for this consumer; the others had been acknowledged before, or are
    ///   another consumer's now.
    /// - Throws: ``RedisError``, with ``RedisError/Code/invalidArgument`` for messages of another stream or group. Messages
    ///   whose acknowledgement is not confirmed are then still held, and all can be acknowledged again.
    public func acknowledge(_ messages: some Sequence<GroupMessage>) async throws(RedisError) -> Int {
        let messages = Array(messages)
        guard !messages.isEmpty else { return 0 }
        guard messages.allSatisfy({ $0.stream == stream && $0.batch.session.group == group }) else {
            throw RedisError(
                .invalidArgument,
                "A message is of another stream or group: use the consumer it came from."
            )
        }
        var count = 0
        for first in stride(from: 0, to: messages.count, by: GroupEngine.maxAcknowledged) {
            let part = messages.dropFirst(first).prefix(GroupEngine.maxAcknowledged)
            let confirmed = Swift.min(try await acknowledge(part.map(\.id)).plausible, part.count)
            count += confirmed
            observer.count { $0.acknowledged += confirmed }
            for message in part { message.batch.session.acknowledged(message) }
        }
        return count
    }

    private func acknowledge(_ ids: [StreamID]) async throws(RedisError) -> Int {
        guard configuration.acknowledgement.keepsPending, configuration.leasePolicy.fencingTime != nil else {
            return try await client.execute(xack(ids))
        }
        // It may wait for a connection, for longer than anything is proven.
        let call = call(.acknowledge, ids: ids)
        return try call.integer(try await client.run(call))
    }

    /// Refuses names that are empty or have control characters.
    func validateNames() throws(RedisError) {
        try RedisError.check("stream", isName: stream.rawValue)
        try RedisError.check("group", isName: group)
        try RedisError.check("consumer", isName: name)
        if let deadLetter = configuration.deadLetter {
            try RedisError.check("deadLetter.stream", isName: deadLetter.stream.rawValue)
        }
    }

    /// - Parameter concurrency: How many messages are handled at a time.
    func makeSession(concurrency: Int) -> GroupSession {
        GroupSession(
            group: group,
            keepsPending: configuration.acknowledgement.keepsPending,
            prefetch: configuration.prefetch,
            bytes: configuration.prefetchBytes,
            budget: PrefetchBudget(
                time: configuration.prefetchTime,
                concurrency: concurrency,
                batch: configuration.batchSize,
                prefetch: configuration.prefetch
            ),
            leasePolicy: configuration.leasePolicy,
            rules: FailureRules(
                retry: configuration.retry,
                deadLetter: configuration.deadLetter,
                describe: configuration.describe
            ),
            observer: observer,
            handsOver: configuration.safeguards.contains(.handOver),
            randomness: client.pool.randomness,
            eventLoop: client.pool.nextEventLoop(),
            leaseClock: client.pool.leaseClock
        )
    }
}
