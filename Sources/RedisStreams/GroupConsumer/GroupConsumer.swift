internal import Logging
public import ServiceLifecycle
internal import Synchronization

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
/// **Delivery.** At least once, unless the configuration says otherwise: a message that was not acknowledged, because
/// its process died or its handler threw, is claimed by a consumer of the group once it has been pending for
/// ``Configuration/claimIdleTime``. So handlers must bear to see a message again. On a start, a consumer first gets what
/// is pending under its own name.
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

    /// A consumer of a group.
    ///
    /// Nothing is sent before somebody asks for messages.
    ///
    /// - Parameters:
    ///   - client: The client whose connections are used. Each running consumer leases one of them.
    ///   - stream: The stream to read.
    ///   - group: The group to read for.
    ///   - consumer: The consumer's name. Two that run at the same time must not share one. A name that stays the same
    ///     over restarts lets a consumer go on with what it held. Default: made of host name, process and a random number.
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
    }

    /// Handles messages, up to `concurrency` at a time, until the task is cancelled or a graceful shutdown begins.
    ///
    /// A message whose handler returns is acknowledged. One whose handler throws stays pending and is delivered again
    /// after ``Configuration/claimIdleTime``; the loop goes on. On a graceful shutdown no more messages are handed out,
    /// handlers finish, and what they finished is acknowledged before this returns.
    ///
    /// - Parameters:
    ///   - concurrency: How many messages are handled at a time, 1 to 10,000.
    ///   - executor: Where handlers run; see ``HandlerExecutor`` for when to choose which.
    ///   - handler: Handles a message.
    /// - Throws: ``RedisError``, when consuming cannot go on. What handlers throw is logged and not thrown.
    public func run(
        concurrency: Int = 1,
        on executor: HandlerExecutor = .concurrent,
        _ handler: @escaping @Sendable (GroupMessage) async throws -> Void
    ) async throws {
        try configuration.validate()
        guard (1...10_000).contains(concurrency) else {
            throw RedisError(.invalidArgument, "concurrency must be 1 to 10000.")
        }
        let session = makeSession()
        let engine = GroupEngine(consumer: self, session: session, awaitsHandlers: true)
        let taskExecutor = executor == .eventLoop ? EventLoopTaskExecutor(session.eventLoop) : nil
        try await withGracefulShutdownHandler {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await engine.run() }
                defer { session.finish() }
                try await withThrowingTaskGroup(of: Void.self) { workers in
                    for _ in 0..<concurrency {
                        workers.addTask(executorPreference: taskExecutor) { try await work(on: session, handler) }
                    }
                    try await workers.waitForAll()
                }
            }
        } onGracefulShutdown: {
            session.mailbox.stop()
        }
    }

    private func work(
        on session: GroupSession,
        _ handler: @Sendable (GroupMessage) async throws -> Void
    ) async throws {
        let acknowledges = configuration.acknowledgement == .afterHandling
        while let message = try await session.mailbox.next() {
            if session.giveUpIfStale(message) { continue }
            do {
                try await handler(message)
                if acknowledges { session.settle(message) }
            } catch {
                session.release(message)
                client.logger.info(
                    "handler failed",
                    metadata: [
                        LogKey.stream: "\(stream)", LogKey.group: "\(group)", LogKey.message: "\(message.id)",
                        LogKey.reason: "\(type(of: error))",
                    ]
                )
            }
        }
    }

    /// A service that handles messages as ``run(concurrency:_:)`` does, to be added to a `ServiceGroup` behind the client.
    ///
    /// ```swift
    /// let billing = consumer.service(concurrency: 16) { message in … }
    /// let services = ServiceGroup(services: [redis, billing], gracefulShutdownSignals: [.sigterm], logger: logger)
    /// ```
    public func service(
        concurrency: Int = 1,
        on executor: HandlerExecutor = .concurrent,
        _ handler: @escaping @Sendable (GroupMessage) async throws -> Void
    ) -> some Service {
        GroupService(consumer: self, concurrency: concurrency, executor: executor, handler: handler)
    }

    /// Acknowledges messages and waits for the server's word.
    ///
    /// - Returns: How many of them were still pending; the others had been acknowledged before.
    /// - Throws: ``RedisError``, with ``RedisError/Code/invalidArgument`` for messages of another stream or group. The
    ///   messages are then still held, and can be acknowledged again.
    public func acknowledge(_ messages: some Sequence<GroupMessage>) async throws(RedisError) -> Int {
        let messages = Array(messages)
        guard !messages.isEmpty else { return 0 }
        guard messages.allSatisfy({ $0.stream == stream && $0.batch.session.group == group }) else {
            throw RedisError(
                .invalidArgument,
                "A message is of another stream or group: use the consumer it came from."
            )
        }
        let count = try await client.execute(XACK(stream, group: group, ids: messages.map(\.id)))
        for message in messages { message.batch.session.acknowledged(message) }
        return count
    }

    func makeSession() -> GroupSession {
        GroupSession(
            group: group,
            prefetch: configuration.prefetch,
            bytes: configuration.prefetchBytes,
            eventLoop: client.pool.nextEventLoop()
        )
    }
}

private struct GroupService: Service {
    let consumer: GroupConsumer
    let concurrency: Int
    let executor: GroupConsumer.HandlerExecutor
    let handler: @Sendable (GroupMessage) async throws -> Void

    func run() async throws {
        try await consumer.run(concurrency: concurrency, on: executor, handler)
    }
}

/// Names for consumers that have been given none.
private enum ConsumerName {
    private static let count = Atomic(0)

    static func next() -> String {
        let number = count.add(1, ordering: .relaxed).newValue
        // Containers can share a host name, and then each has a process 1.
        let random = String(UInt32.random(in: 0...UInt32.max), radix: 16)
        return "\(Host.name)-\(Host.processID)-\(number)-\(random)"
    }
}
