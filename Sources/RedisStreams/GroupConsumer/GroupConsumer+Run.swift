internal import NIOCore
public import ServiceLifecycle

extension GroupConsumer {
    /// Handles a message. What it returns with decides on the message's disposition.
    public typealias Handler = @Sendable (GroupMessage) async throws -> Void
    /// Handles a message, and can see whether it is still this consumer's, and add entries that come of it.
    public typealias ContextHandler = @Sendable (GroupMessage, HandlerContext) async throws -> Void

    /// Handles messages, up to `concurrency` at a time, until the task is cancelled or a graceful shutdown begins.
    ///
    /// A message whose handler returns is acknowledged. One whose handler throws is handled again as
    /// ``Configuration/retry`` says, by whichever consumer of the group takes it up, until ``Configuration/deadLetter``
    /// gives it up; throw ``Retry`` or ``Reject`` to decide yourself. The loop goes on.
    ///
    /// While a handler is at work, the message's lease is renewed. If it is lost all the same, because this process stood
    /// still or the server was not to be reached for so long, the handler's task is cancelled, and what it does with the
    /// message has no effect.
    ///
    /// On a graceful shutdown no more messages are handed out. Handlers finish, within
    /// ``Configuration/shutdownDeadline``; then their tasks are cancelled. What they finished is acknowledged before this
    /// returns, and the rest given back, so that others can handle it at once. A handler that is cancelled and throws has
    /// not failed: its message is given back too.
    ///
    /// - Parameters:
    ///   - concurrency: How many messages are handled at a time, 1 to 10,000.
    ///   - executor: Where handlers run; see ``HandlerExecutor`` for when to choose which.
    ///   - handler: Handles a message.
    /// - Throws: ``RedisError``, when consuming cannot go on. What handlers throw is logged and not thrown.
    public func run(
        concurrency: Int = 1,
        on executor: HandlerExecutor = .concurrent,
        _ handler: @escaping Handler
    ) async throws {
        try await run(concurrency: concurrency, on: executor) { message -> [Publication.Output] in
            try await handler(message)
            return []
        }
    }

    /// Handles messages as ``run(concurrency:on:_:)-(_,_,Handler)`` does, with handlers that are given a context.
    public func run(
        concurrency: Int = 1,
        on executor: HandlerExecutor = .concurrent,
        _ handler: @escaping ContextHandler
    ) async throws {
        try await run(concurrency: concurrency, on: executor) { message -> [Publication.Output] in
            let context = HandlerContext(message)
            try await handler(message, context)
            return context.outputs
        }
    }

    private typealias Work = @Sendable (GroupMessage) async throws -> [Publication.Output]

    private func run(concurrency: Int, on executor: HandlerExecutor, work: @escaping Work) async throws {
        try validate()
        guard (1...10_000).contains(concurrency) else {
            throw RedisError(.invalidArgument, "concurrency must be 1 to 10000.")
        }
        let session = makeSession(concurrency: concurrency)
        observer.beginRun(session.snapshotIfAlive)
        defer { observer.endRun() }
        let engine = GroupEngine(consumer: self, session: session, concurrency: concurrency, awaitsHandlers: true)
        let taskExecutor = executor == .eventLoop ? EventLoopTaskExecutor(session.eventLoop) : nil
        let deadline = TimeAmount(configuration.shutdownDeadline)
        try await withGracefulShutdownHandler {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await engine.run() }
                defer { session.finish() }
                try await withThrowingTaskGroup(of: Bool.self) { workers in
                    func addWorker() {
                        workers.addTask(executorPreference: taskExecutor) { try await handle(session, work) }
                    }
                    for _ in 0..<concurrency { addWorker() }
                    // A worker whose task was cancelled with the message that it had lost has to be replaced.
                    while let isReplaced = try await workers.next() {
                        if isReplaced, !Task.isCancelled { addWorker() }
                    }
                }
            }
        } onGracefulShutdown: {
            session.buffer.stop()
            session.eventLoop.scheduleTask(in: deadline) { [weak session] in session?.cancelHandlers() }
        }
    }

    /// Handles one message after the other. Returns whether another worker has to take this one's place.
    private func handle(_ session: GroupSession, _ work: Work) async throws -> Bool {
        let slot = HandlerSlot()
        session.add(slot)
        defer { session.remove(slot) }
        // How many handlers are not measured from here on.
        var unmeasured = 0
        return try await slot.occupied {
            while let message = try await session.buffer.next() {
                let time = session.handOutTime(isMeasured: unmeasured == 0)
                // In this order: what is lost from here on is told to the slot.
                slot.begin(message.batch, message.position, at: time)
                if !session.giveUpIfStale(message, at: time) {
                    await handle(message, session, work)
                    if unmeasured > 0 {
                        unmeasured -= 1
                    } else if let time {
                        unmeasured = session.handled(since: time) ? 0 : PrefetchBudget.skipped
                    }
                }
                if slot.end() { return true }
            }
            return false
        }
    }

    private func handle(_ message: GroupMessage, _ session: GroupSession, _ work: Work) async {
        do {
            let outputs = try await work(message)
            if configuration.acknowledgement == .afterHandling || !outputs.isEmpty { session.publish(message, outputs) }
        } catch {
            guard session.isOpen(message) else { return }
            if Task.isCancelled { return session.handBack(message) }
            session.fail(message, because: error)
        }
    }

    /// A service that handles messages as ``run(concurrency:on:_:)-(_,_,Handler)`` does, to be added to a `ServiceGroup`
    /// behind the client.
    ///
    /// ```swift
    /// let billing = consumer.service(concurrency: 16) { message in … }
    /// let services = ServiceGroup(services: [redis, billing], gracefulShutdownSignals: [.sigterm], logger: logger)
    /// ```
    public func service(
        concurrency: Int = 1,
        on executor: HandlerExecutor = .concurrent,
        _ handler: @escaping Handler
    ) -> some Service {
        GroupService { try await run(concurrency: concurrency, on: executor, handler) }
    }

    /// A service as ``service(concurrency:on:_:)-(_,_,Handler)`` is, with handlers that are given a context.
    public func service(
        concurrency: Int = 1,
        on executor: HandlerExecutor = .concurrent,
        _ handler: @escaping ContextHandler
    ) -> some Service {
        GroupService { try await run(concurrency: concurrency, on: executor, handler) }
    }
}

private struct GroupService: Service {
    let body: @Sendable () async throws -> Void

    func run() async throws { try await body() }
}
