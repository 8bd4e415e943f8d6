internal import Logging
internal import NIOCore

/// Sends the outcomes of messages to the server, in one of three ways. `AcknowledgerStateMachine` decides which.
actor Acknowledger: EventLoopActor {
    nonisolated let eventLoop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe eventLoop.executor.asUnownedSerialExecutor() }

    /// For how long outcomes are coalesced.
    private static let coalescingTime = TimeAmount.milliseconds(1)
    /// The number of failed attempts after the owner of the handlers has finished: messages whose outcomes are left
    /// then are delivered again.
    private static let maxLastAttempts = 3

    nonisolated let commands: SettlementCommands
    private nonisolated let consumer: GroupConsumer
    private nonisolated let pending: PendingMessages
    private nonisolated let outcomes: SettlementOutcomes
    private nonisolated let route: any Route
    private nonisolated let logger: Logger
    private let endDeadline: EndDeadline
    /// Whether to wait for handlers even if the task is cancelled.
    private let awaitsHandlers: Bool

    init(
        _ consumer: GroupConsumer,
        _ pending: PendingMessages,
        _ outcomes: SettlementOutcomes,
        _ endDeadline: EndDeadline,
        awaitsHandlers: Bool
    ) {
        eventLoop = pending.eventLoop
        commands = SettlementCommands(consumer, pending)
        self.consumer = consumer
        self.pending = pending
        self.outcomes = outcomes
        self.endDeadline = endDeadline
        self.awaitsHandlers = awaitsHandlers
        route = consumer.route
        logger = consumer.observer.log.logger
    }

    // MARK: Covered by the next read

    /// Sends all settlements that may go before a read. `begin` sends plain acknowledgements on the connection of the
    /// read. The others go to a shared connection, since a script may have to be sent twice and must not wait behind a
    /// read.
    nonisolated func sendBeforeRead(_ begin: (XACK, SentSettlement) -> Void) {
        let shared = route.readyShared()
        let limit = SettlementCommands.maxAcknowledged
        var reach = shared == nil ? Outbox.Reach.certain : .sendable
        while let sent = pending.nextSettlement(atMost: limit, reach) {
            guard case .acknowledge(let ids, let isCertain) = sent.settlement else {
                if let shared { send(sent, on: shared) }
                continue
            }
            if isCertain { begin(consumer.xack(ids), sent) } else if let shared { send(sent, on: shared) }
            // More acknowledgements are queued now only if one command cannot contain them all. Those that handlers on
            // other threads add meanwhile are covered by the next read: a command for each few of them would cost the
            // server more.
            if ids.count == limit { continue }
            if shared == nil { return }
            reach = .others
        }
    }

    /// The reply to an acknowledgement that was sent before a read.
    nonisolated func ended(_ sent: SentSettlement, _ result: Result<Int, RedisError>) {
        outcomes.ended(sent, result.map { .acknowledged($0) })
    }

    private nonisolated func send(_ sent: SentSettlement, on connection: RedisConnection) {
        commands.send(sent, on: connection) { self.outcomes.ended(sent, $0) }
    }

    // MARK: Coalesced

    /// Outcomes are queued, and neither a read nor the timer will send them.
    func outcomesWait() {
        if beginCoalescing() { coalesce() }
    }

    /// Messages are about to be delivered. Most are handled before the timer fires, so that no handler has to wake the
    /// event loop for its outcome. Returns `false` if the timer runs already.
    nonisolated func beginCoalescing() -> Bool {
        consumer.configuration.acknowledgement.keepsPending && pending.beginCoalescing()
    }

    /// Starts the timer only if there are messages to wait for: a timer costs as much as a message.
    func goOnCoalescing() {
        if pending.read({ $0.hasUnsettled }) { coalesce() } else { pending.endCoalescing() }
    }

    private func coalesce() {
        eventLoop.scheduleTask(in: Self.coalescingTime) { self.assumeIsolated { $0.sendCoalesced() } }
    }

    private func sendCoalesced() {
        if !pending.isCoveredByRead { sendNow() }
        pending.endCoalescing()
    }

    /// Sends settlements on a shared connection, since a read may wait on the connection of the reader.
    private func sendNow() {
        while let connection = route.readyShared() {
            guard let sent = pending.nextSettlement(atMost: SettlementCommands.maxAcknowledged, .sendable) else {
                return
            }
            send(sent, on: connection)
        }
        pending.wakeSlowPath()
    }

    // MARK: The slow path

    /// Sends settlements that could not be sent at once, and those that are left at the end.
    func runSlowPath() async {
        var attempt = 0
        var lastAttempts = 0
        while await pending.waitForSlowPath(inAnyCase: awaitsHandlers) {
            if !pending.isFinished { await eventLoop.sleep(for: .nanoseconds(Self.coalescingTime.nanoseconds)) }
            if hasGivenUp { return }
            guard let sent = pending.nextSettlement(atMost: SettlementCommands.maxAcknowledged) else { continue }
            guard let error = await perform(sent) else {
                attempt = 0
                // Only the slow path sends the settlements that are left.
                pending.wakeSlowPath()
                continue
            }
            attempt += 1
            if pending.isFinished || (Task.isCancelled && !awaitsHandlers) { lastAttempts += 1 }
            if lastAttempts == Self.maxLastAttempts { break }
            await pause(behind: attempt, after: error)
        }
    }

    private var hasGivenUp: Bool { endDeadline.assumeIsolated({ $0.hasPassed }) }

    private func pause(behind attempt: Int, after error: RedisError) async {
        let delay = consumer.configuration.backoff.delay(
            attempt: attempt,
            jitter: consumer.client.randomness(),
            after: error
        )
        logger.log(
            level: .of(attempt: attempt),
            "could not acknowledge messages, trying again",
            metadata: LogKey.retry(error, attempt, delay)
        )
        if !Task.isCancelled || pending.isFinished { return await eventLoop.sleep(for: delay) }
        // Handlers still run: even a cancelled task must pause before it tries again.
        await eventLoop.sleepInAnyCase(for: min(delay, .milliseconds(100)))
    }

    /// Sends all queued settlements, until one fails.
    func sendAll() async {
        while !hasGivenUp, let sent = pending.nextSettlement(atMost: SettlementCommands.maxAcknowledged) {
            if await perform(sent) != nil { return }
        }
    }

    /// Sends a settlement and waits for the reply, cancelled or not. Returns why it failed.
    private func perform(_ sent: SentSettlement) async -> RedisError? {
        let result: Result<SettlementReply, RedisError>
        do throws(RedisError) {
            result = await perform(sent, on: try await route.shared())
        } catch {
            // For example, this task was cancelled, or the client ends.
            result = error.isRetriable ? .failure(error) : await performOnOwnConnection(sent)
        }
        outcomes.ended(sent, result)
        return result.failure
    }

    private nonisolated func perform(
        _ sent: SentSettlement,
        on connection: RedisConnection
    ) async -> Result<SettlementReply, RedisError> {
        await withCheckedContinuation { continuation in
            commands.send(sent, on: connection) { continuation.resume(returning: $0) }
        }
    }

    private func performOnOwnConnection(_ sent: SentSettlement) async -> Result<SettlementReply, RedisError> {
        do throws(RedisError) {
            return .success(
                try await route.withOwnConnection(on: eventLoop) { (connection) throws(RedisError) in
                    try await self.perform(sent, on: connection).get()
                }
            )
        } catch {
            return .failure(error)
        }
    }
}

extension Result where Failure == RedisError {
    fileprivate var failure: RedisError? {
        if case .failure(let error) = self { error } else { nil }
    }
}
