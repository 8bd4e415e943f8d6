internal import NIOCore
public import ServiceLifecycle

extension GroupConsumer {
    /// Handles a message. Whether it returns or throws decides what becomes of the message.
    public typealias Handler = @Sendable (GroupMessage) async throws -> Void
    /// Handles a message. The context says whether this consumer still owns the message, and adds entries to streams.
    public typealias ContextHandler = @Sendable (GroupMessage, HandlerContext) async throws -> Void

    /// Handles messages, up to `concurrency` at a time, until the task is cancelled or a graceful shutdown begins.
    ///
    /// When a handler returns, its message is acknowledged. When a handler throws, its message is handled again as
    /// ``Configuration/retry`` says, by any consumer of the group, until ``Configuration/deadLetter`` makes it a dead
    /// letter; throw ``Retry`` or ``Reject`` to decide yourself. The consumer continues with other messages.
    ///
    /// While a handler runs, the consumer renews the lease of its message. If the lease is lost all the same, because
    /// this process stalled or could not reach the server for so long, the consumer cancels the handler's task, and the
    /// outcome of the handler has no effect.
    ///
    /// On a graceful shutdown, the consumer starts no more handlers. Running handlers may finish within
    /// ``Configuration/shutdownDeadline``; then the consumer cancels their tasks. Before this returns, the messages
    /// that they finished are acknowledged, and the others are returned to the group, so that other consumers can
    /// handle them at once. A handler that is cancelled and throws has not failed: its message is returned too.
    ///
    /// - Parameters:
    ///   - concurrency: How many messages the consumer handles at a time, 1 to 10,000.
    ///   - executor: Where handlers run; see ``HandlerExecutor`` for when to choose which.
    ///   - handler: Handles a message.
    /// - Throws: ``RedisError``, when consuming cannot go on. The consumer logs the errors of handlers and does not
    ///   throw them.
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

    /// Handles messages as ``run(concurrency:on:_:)-(_,_,Handler)`` does, with handlers that get a context.
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
        let dispatcher = makeDispatcher(concurrency: concurrency)
        observer.beginRun(dispatcher.snapshotIfAlive)
        defer { observer.endRun() }
        let partition = Partition(self, dispatcher, awaitsHandlers: true)
        let taskExecutor = executor == .eventLoop ? EventLoopTaskExecutor(dispatcher.pending.eventLoop) : nil
        let deadline = TimeAmount(configuration.shutdownDeadline)
        try await withGracefulShutdownHandler {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await partition.run() }
                defer { dispatcher.finish() }
                try await withThrowingTaskGroup(of: Bool.self) { workers in
                    func addWorker() {
                        workers.addTask(executorPreference: taskExecutor) { try await handle(dispatcher, work) }
                    }
                    for _ in 0..<concurrency { addWorker() }
                    // When a message is lost, the task of its worker is cancelled and ends: another worker replaces it.
                    while let isReplaced = try await workers.next() {
                        if isReplaced, !Task.isCancelled { addWorker() }
                    }
                }
            }
        } onGracefulShutdown: {
            dispatcher.buffer.stop()
            let eventLoop = dispatcher.pending.eventLoop
            eventLoop.scheduleTask(in: deadline) { [weak dispatcher] in dispatcher?.cancelAllHandlers() }
        }
    }

    /// Handles one message after the other. Returns whether another worker has to replace this one.
    private func handle(_ dispatcher: Dispatcher, _ work: Work) async throws -> Bool {
        let slot = WorkerSlot()
        dispatcher.add(slot)
        defer { dispatcher.remove(slot) }
        let meter = HandlingMeter()
        let pending = dispatcher.pending
        return try await slot.occupied {
            while let message = try await dispatcher.buffer.next() {
                let time = pending.handOutTime(isMeasured: meter.isDue)
                // First the slot, then the check: from here on, a loss of the message cancels this task.
                slot.begin(message.batch, message.position, at: time)
                if !pending.requeueIfStale(message, at: time) {
                    meter.begin(at: time)
                    await handle(message, pending, work)
                    meter.end(dispatcher)
                }
                if slot.end() { return true }
            }
            return false
        }
    }

    private func handle(_ message: GroupMessage, _ pending: PendingMessages, _ work: Work) async {
        do {
            let outputs = try await work(message)
            if configuration.acknowledgement == .afterHandling || !outputs.isEmpty { pending.publish(message, outputs) }
        } catch {
            guard pending.hasNoOutcome(message) else { return }
            if Task.isCancelled { return pending.requeue(message) }
            pending.fail(message, because: error)
        }
    }

    /// A service that handles messages as ``run(concurrency:on:_:)-(_,_,Handler)`` does. Add it to a `ServiceGroup`
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

    /// A service like ``service(concurrency:on:_:)-(_,_,Handler)``, with handlers that get a context.
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
