internal import Logging
internal import NIOCore

/// Bounds the time that the end of a consumer takes: a server that does not answer cannot delay it further.
actor EndDeadline: EventLoopActor {
    nonisolated let eventLoop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe eventLoop.executor.asUnownedSerialExecutor() }

    /// How long the last settlements and the handover may take after the deadline of the handlers. The documentation
    /// promises two seconds, so this is less.
    private static let settlingTime = Duration.milliseconds(1500)

    private let handlerDeadline: Duration
    private let pending: PendingMessages
    private let logger: Logger
    private let awaitsHandlers: Bool
    private var timer: Scheduled<Void>?
    /// Whether the consumer has ended, or its end has taken too long: it sends nothing more.
    private(set) var hasPassed = false
    /// Fires when the consumer has ended, or its end has taken too long.
    nonisolated let hasEnded = Signal()

    init(_ consumer: GroupConsumer, _ pending: PendingMessages, awaitsHandlers: Bool) {
        eventLoop = pending.eventLoop
        handlerDeadline = consumer.configuration.shutdownDeadline
        self.pending = pending
        logger = consumer.observer.log.logger
        self.awaitsHandlers = awaitsHandlers
    }

    /// The end begins, and no handler gets a message any more. Handlers have until their deadline, and their
    /// settlements have `settlingTime` after that. While a handler ignores its cancellation, the deadline moves by
    /// `settlingTime` again.
    func arm() {
        if timer == nil, !hasPassed { arm(in: handlerDeadline + Self.settlingTime) }
    }

    private func arm(in time: Duration) {
        timer = eventLoop.scheduleTask(in: TimeAmount(time)) { self.assumeIsolated { $0.deadlinePassed() } }
    }

    /// The consumer has ended.
    func disarm() {
        timer?.cancel()
        hasPassed = true
    }

    private func deadlinePassed() {
        if awaitsHandlers, !pending.isFinished { return arm(in: Self.settlingTime) }
        hasPassed = true
        logger.warning("the server did not answer in time: the consumer stops without its confirmation")
        hasEnded.fire()
    }
}
