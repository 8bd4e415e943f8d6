internal import Logging
internal import NIOCore
internal import Synchronization

/// Returns messages that have waited for a handler for a third of their lease, so that a consumer with a free handler
/// can claim them. Two thirds of the lease are left then.
actor WaitLimit: EventLoopActor {
    nonisolated let eventLoop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe eventLoop.executor.asUnownedSerialExecutor() }

    private let dispatcher: Dispatcher
    private let logger: Logger
    private let limit: TimeAmount?
    /// Called when messages were returned, so that this consumer does not claim them before others can.
    private let onReturn: @Sendable () -> Void
    private var isRunning = false
    private var timer: Scheduled<Void>?
    /// Whether there is no need to ask the actor, which allocates, for each batch.
    private nonisolated let isArmed = Atomic(false)

    init(_ consumer: GroupConsumer, _ dispatcher: Dispatcher, onReturn: @escaping @Sendable () -> Void) {
        eventLoop = dispatcher.pending.eventLoop
        self.dispatcher = dispatcher
        logger = consumer.observer.log.logger
        let isOn = consumer.configuration.safeguards.contains(.returnOverdue)
        limit = isOn ? consumer.configuration.lease.map { TimeAmount($0 / 3) } : nil
        self.onReturn = onReturn
    }

    func begin() { isRunning = true }

    func end() {
        isRunning = false
        timer?.cancel()
        timer = nil
    }

    /// Sets the timer if messages wait. There is one timer for all of them: when it fires, it is set for the message
    /// that is the oldest then.
    nonisolated func messagesWait() {
        if !isArmed.load(ordering: .relaxed) { assumeIsolated { $0.arm() } }
    }

    private func arm() {
        guard timer == nil, isRunning, let limit, let waited = dispatcher.longestWait else { return }
        isArmed.store(true, ordering: .relaxed)
        let rest = max(.milliseconds(1), limit - waited)
        timer = eventLoop.scheduleTask(in: rest) { self.assumeIsolated { $0.requeueOverdue() } }
    }

    private func requeueOverdue() {
        timer = nil
        isArmed.store(false, ordering: .relaxed)
        guard !dispatcher.buffer.isStopping, let limit else { return }
        let count = dispatcher.requeueWaiting(for: limit)
        if count > 0 {
            onReturn()
            logger.info(
                "returned messages to the group: they waited too long for a handler",
                metadata: [LogKey.count: "\(count)"]
            )
        }
        arm()
    }
}
