internal import Logging
internal import NIOCore

/// Performs what `GroupConsumerStateMachine` decides: creates the group, reads, claims, delivers to the session, and
/// acknowledges what the session says is due.
actor GroupEngine: ConsumerEngine {
    nonisolated let eventLoop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe eventLoop.executor.asUnownedSerialExecutor() }

    let consumer: GroupConsumer
    let session: GroupSession
    let logger: Logger
    private let awaitsHandlers: Bool
    private var machine: GroupConsumerStateMachine
    var pipeline = Pipeline()
    /// How many messages the reads and claims on their way may bring.
    private var expected = 0
    /// How many reads are on their way.
    private var reads = 0
    /// Whether the last read brought all that it may: more is there.
    private var isBacklog = false
    /// Whether what is due is sent in a little while.
    private var isGathering = false
    /// What was reported as deleted since the last sweep came round.
    private var reportedDeleted: Set<StreamID> = []

    private nonisolated var configuration: GroupConsumer.Configuration { consumer.configuration }
    nonisolated var pool: ConnectionPool { consumer.client.pool }
    nonisolated var mailbox: Mailbox<DeliveredMessages> { session.mailbox }
    nonisolated var backoff: Backoff { configuration.backoff }

    /// - Parameter awaitsHandlers: Whether to go on acknowledging when the task is cancelled, until the session is
    ///   finished. Somebody has to see to that.
    init(consumer: GroupConsumer, session: GroupSession, awaitsHandlers: Bool) {
        self.awaitsHandlers = awaitsHandlers
        self.consumer = consumer
        self.session = session
        eventLoop = session.eventLoop
        machine = GroupConsumerStateMachine(
            consumer.configuration,
            now: eventLoop.now,
            jitter: consumer.configuration.claimJitter ?? consumer.client.pool.randomness()
        )
        var logger = consumer.client.logger
        logger[metadataKey: LogKey.stream] = "\(consumer.stream)"
        logger[metadataKey: LogKey.group] = "\(consumer.group)"
        logger[metadataKey: LogKey.consumer] = "\(consumer.name)"
        self.logger = logger
        session.onDue { [weak self] in
            guard let self else { return }
            eventLoop.execute { self.assumeIsolated { $0.gather() } }
        }
    }

    /// Serves the session until it is finished and everything that is due has been sent, or until something fails that
    /// trying again does not mend: that goes to the session, which throws it at who asks for messages.
    nonisolated func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.acknowledgeLoop() }
            await self.session.mailbox.whileOpen { await self.readLoop() }
        }
        // A read that was ended may have taken acknowledgements along.
        await acknowledgeRest()
    }

    /// By those who handle messages, or, where they do not own this task, by the end of the client. That is told: a loop
    /// never just ends.
    func cancelled() {
        if awaitsHandlers { mailbox.stop() } else { mailbox.fail(PoolStateMachine<RedisConnection>.shutDown) }
    }

    func failed(_ error: RedisError) -> FailureReaction { machine.failed(error) }

    func paused() {
        isBacklog = false
        updateAttention()
    }

    func interrupted(by error: RedisError, retryAfter delay: Duration) {
        report(.interrupted(error, retryAfter: delay))
    }

    // MARK: Steps that are awaited

    func takeStep(on connection: RedisConnection) async throws(RedisError) -> Bool {
        switch machine.next(now: eventLoop.now) {
        case .createGroup(let start): try await createGroup(start, on: connection)
        case .readPending(let id): try await readPending(after: id, on: connection)
        case .claim, .readNew: return false
        }
        return true
    }

    private func createGroup(_ start: XGROUP.Start, on connection: RedisConnection) async throws(RedisError) {
        try await connection.execute(
            XGROUP.CREATE(consumer.stream, group: consumer.group, from: start, createStream: true)
        )
        machine.createdGroup()
        logger.info("group created")
        report(.groupCreated)
    }

    /// Reads a page of what is pending for this consumer, and hands over what it does not hold.
    private func readPending(after id: StreamID, on connection: RedisConnection) async throws(RedisError) {
        session.beginLookingBack()
        defer { session.endLookingBack() }
        let batches = try await connection.execute(
            XREADGROUP(
                group: consumer.group,
                consumer: consumer.name,
                streams: [.init(consumer.stream, .pending(after: id))],
                count: machine.count
            )
        )
        let batch = batches.first
        machine.readPending(last: batch?.last?.id)
        guard let batch else { return }
        if configuration.acknowledgement == .onDelivery {
            // Handed out only once the server has it as acknowledged: else it could be handled twice.
            try await acknowledgeFirst(batch, on: connection)
        } else {
            deliver(session.leavingOutKnown(batch), source: .pending)
        }
    }

    private func acknowledgeFirst(_ batch: MessageBatch, on connection: RedisConnection) async throws(RedisError) {
        if batch.isEmpty { return }
        _ = try await connection.execute(xack(batch.map(\.id)))
        deliver(batch, source: .pending)
    }

    // MARK: Reading and claiming

    /// The most reads on their way at a time: the server works on one while what the other has brought is taken apart and
    /// handed out.
    private static let maxReads = 2

    func readOn(on connection: RedisConnection) {
        readOn(besides: 0, on: connection)
    }

    /// What is due to be acknowledged goes before a read, and what is due to be looked for, in the same write.
    ///
    /// - Parameter arrived: How many messages have arrived and are not in the mailbox yet.
    private func readOn(besides arrived: Int, on connection: RedisConnection) {
        var hasBegun = false
        while pipeline.isRunning, reads < (isBacklog ? Self.maxReads : 1),
            mailbox.hasRoom(besides: arrived + expected), begin(machine.next(now: eventLoop.now), on: connection)
        {
            hasBegun = true
        }
        // While there is a backlog the server shall work at once; else first comes who waits for the message.
        if hasBegun, isBacklog { connection.assumeIsolated { $0.flush() } }
        updateAttention()
    }

    /// Returns `false` for a step that has to wait until nothing is on its way.
    private func begin(_ step: GroupConsumerStateMachine.Step, on connection: RedisConnection) -> Bool {
        switch step {
        case .createGroup, .readPending: return false
        case .claim(let cursor): return beginClaim(from: cursor, on: connection)
        case .readNew(let block):
            beginAcknowledging(on: connection)
            // On a backlog none waits on the server: what is behind it, and what it is to take along, would wait too.
            beginRead(block: isBacklog ? nil : block, on: connection)
            return true
        }
    }

    private func beginAcknowledging(on connection: RedisConnection) {
        // All of it: a read may bring more than one command acknowledges.
        while true {
            let ids = session.takeDue(atMost: Self.maxAcknowledged)
            if ids.isEmpty { return }
            let command = xack(ids)
            begin(command, on: connection) { (engine, outcome) throws(RedisError) in
                engine.settle(ids, command.result(of: outcome))
            }
        }
    }

    private func beginRead(block: Duration?, on connection: RedisConnection) {
        let command = XREADGROUP(
            group: consumer.group,
            consumer: consumer.name,
            streams: [.init(consumer.stream, .new)],
            count: machine.count,
            block: block,
            noAck: configuration.acknowledgement == .never
        )
        let count = machine.count
        reads += 1
        expected += count
        begin(command, on: connection) { (engine, outcome) throws(RedisError) in
            engine.reads -= 1
            engine.expected -= count
            try engine.received(outcome, of: command, on: connection)
        }
    }

    private func received(
        _ outcome: PendingReplies.Outcome,
        of command: XREADGROUP,
        on connection: RedisConnection
    ) throws(RedisError) {
        let arrived = (try? outcome.get().entryCount) ?? 0
        isBacklog = arrived == command.count
        // Before anything else: the server works while this batch is taken apart and handed out.
        if isBacklog { readOn(besides: arrived, on: connection) }
        let batch = try command.result(of: outcome).get().first
        machine.readNew(arrived, bytes: batch?.byteCount ?? 0)
        guard let batch else { return }
        if configuration.acknowledgement == .onDelivery { return beginDelivery(of: batch, on: connection) }
        deliver(batch, source: .new)
    }

    /// Hands messages out once the server has them as acknowledged: else they could be handled twice.
    private func beginDelivery(of batch: MessageBatch, on connection: RedisConnection) {
        let command = xack(batch.map(\.id))
        expected += batch.count
        begin(command, on: connection) { (engine, outcome) throws(RedisError) in
            engine.expected -= batch.count
            _ = try command.result(of: outcome).get()
            engine.deliver(batch, source: .new)
        }
        connection.assumeIsolated { $0.flush() }
    }

    private func beginClaim(from cursor: StreamID, on connection: RedisConnection) -> Bool {
        guard let idleTime = configuration.claimIdleTime else { return false }
        let count = machine.claimCount
        let command = XAUTOCLAIM(
            consumer.stream,
            group: consumer.group,
            consumer: consumer.name,
            minIdle: idleTime,
            start: cursor,
            count: count
        )
        machine.claimSent()
        expected += count
        session.beginLookingBack()
        begin(command, on: connection) { (engine, outcome) throws(RedisError) in
            engine.expected -= count
            defer { engine.session.endLookingBack() }
            engine.claimed(try command.result(of: outcome).get())
        }
        return true
    }

    private func claimed(_ result: AutoclaimResult) {
        machine.claimed(next: result.next, isEmpty: result.messages.isEmpty, now: eventLoop.now)
        let claimed = session.leavingOutKnown(result.messages)
        if !claimed.isEmpty {
            logger.info("claimed", metadata: [LogKey.count: "\(claimed.count)"])
            report(.claimed(count: claimed.count))
        }
        deliver(claimed, source: .claimed)
        reportDeleted(result.deletedIDs)
        if result.isComplete { reportedDeleted = [] }
        // Redis 6.2 gives deleted entries to the claimer without their ids: they show when it reads what it has pending.
        if result.unidentifiedDeletions > 0 { machine.recover() }
    }

    /// Hands a batch to the session, but for entries that were deleted while they were pending: those are acknowledged.
    private func deliver(_ batch: MessageBatch, source: GroupMessage.Source) {
        if batch.isEmpty { return }
        let deleted = source == .pending ? batch.deletedIDs : []
        if !deleted.isEmpty, configuration.acknowledgement.keepsPending { session.acknowledge(deleted) }
        reportDeleted(deleted)
        // Most messages are handled before the time is over: then nobody has to be told of what is due.
        let gathers = !isBacklog && beginGathering()
        let lease = configuration.effectiveClaimInterval == nil ? nil : configuration.claimIdleTime
        session.deliver(
            deleted.isEmpty ? batch : batch.leavingOutDeleted(),
            source: source,
            isHeld: configuration.acknowledgement.keepsPending,
            freshUntil: lease.map { eventLoop.now + TimeAmount($0) }
        )
        // Behind those whom the messages have woken.
        if gathers { eventLoop.execute { self.assumeIsolated { $0.endGatheringLater() } } }
    }

    /// Reports each entry once, although both the own pending list and a claim may show it.
    private func reportDeleted(_ deleted: [StreamID]) {
        let ids = deleted.filter { reportedDeleted.insert($0).inserted }
        guard !ids.isEmpty else { return }
        logger.info("pending entries were deleted", metadata: [LogKey.count: "\(ids.count)"])
        report(.deleted(ids: ids))
    }

    private func report(_ event: GroupConsumer.Event) {
        configuration.onEvent?(event)
    }

    // MARK: Acknowledging

    /// The most ids that go into one `XACK`.
    private static let maxAcknowledged = 1000

    /// How long settled messages wait for company.
    private static let gatherTime = Duration.milliseconds(1)

    private func xack(_ ids: [StreamID]) -> XACK { XACK(consumer.stream, group: consumer.group, ids: ids) }

    /// Whether a read comes back soon, so that the next one takes along what is due.
    private var isReadingOn: Bool { isBacklog && reads > 0 }

    /// What is settled from now on is seen to: by the next read, or when the time for gathering is over.
    private func updateAttention() {
        session.attend(isGathering || isReadingOn)
    }

    /// Sends what is due in a little while, if no read has taken it along until then.
    private func gather() {
        if beginGathering() { endGatheringLater() }
    }

    /// Returns `false` if there is nothing to begin.
    private func beginGathering() -> Bool {
        guard !isGathering, configuration.acknowledgement.keepsPending else { return false }
        isGathering = true
        updateAttention()
        return true
    }

    private func endGatheringLater() {
        eventLoop.scheduleTask(in: TimeAmount(Self.gatherTime)) { self.assumeIsolated { $0.gathered() } }
    }

    private func gathered() {
        isGathering = false
        if !isReadingOn { acknowledgeAtOnce() }
        updateAttention()
    }

    /// On a shared connection, since a read may wait on this one.
    private func acknowledgeAtOnce() {
        guard let connection = pool.readyShared() else { return session.raiseAlarm() }
        let ids = session.takeDue(atMost: Self.maxAcknowledged)
        if ids.isEmpty { return }
        let command = xack(ids)
        connection.begin(command) { outcome in self.settle(ids, command.result(of: outcome)) }
    }

    /// Sends what could not be sent at once, and what is left at the end.
    private func acknowledgeLoop() async {
        var attempt = 0
        var lastAttempts = 0
        while await session.waitForAlarm(inAnyCase: awaitsHandlers) {
            if !session.isDone { await eventLoop.sleep(for: Self.gatherTime) }
            let ids = session.takeDue(atMost: Self.maxAcknowledged)
            if ids.isEmpty { continue }
            let outcome = await acknowledge(ids)
            settle(ids, outcome)
            guard case .failure = outcome else {
                attempt = 0
                // The rest has nobody else.
                if ids.count == Self.maxAcknowledged { session.raiseAlarm() }
                continue
            }
            attempt += 1
            // At the end there are a few more attempts; what is left is delivered again, to whoever claims it.
            if session.isDone || (Task.isCancelled && !awaitsHandlers) { lastAttempts += 1 }
            if lastAttempts == Self.maxLastAttempts { break }
            await pause(behind: attempt)
        }
    }

    private static let maxLastAttempts = 3

    private func pause(behind attempt: Int) async {
        let delay = configuration.backoff.delay(attempt: attempt, jitter: pool.randomness())
        if !Task.isCancelled || session.isDone { return await eventLoop.sleep(for: delay) }
        // Handlers are still at work: cancellation must not make a storm of this.
        await eventLoop.sleepInAnyCase(for: min(delay, .milliseconds(100)))
    }

    /// Sends what is due when everything else has ended, once.
    private func acknowledgeRest() async {
        while true {
            let ids = session.takeDue(atMost: Self.maxAcknowledged)
            if ids.isEmpty { return }
            let outcome = await acknowledge(ids)
            settle(ids, outcome)
            if case .failure = outcome { return }
        }
    }

    /// Sends an `XACK` on a shared connection. Cancellation does not keep it from being sent.
    private func acknowledge(_ ids: [StreamID]) async -> Result<Int, RedisError> {
        let command = xack(ids)
        do throws(RedisError) {
            return try await pool.shared().executeToTheEnd(command)
        } catch {
            // Such as that this task was cancelled, or that the client is ending.
            return error.isRetriable ? .failure(error) : await acknowledgeApart(command)
        }
    }

    /// Sends an `XACK` on a leased connection, and in a task of its own: a task that is cancelled can wait for no
    /// connection, and a client that is ending makes no shared ones any more.
    private func acknowledgeApart(_ command: XACK) async -> Result<Int, RedisError> {
        let task = Task { () -> Result<Int, RedisError> in
            do throws(RedisError) {
                let connection = try await pool.lease(on: eventLoop)
                defer { pool.release(connection) }
                return .success(try await connection.execute(command))
            } catch {
                return .failure(error)
            }
        }
        return await task.value
    }

    private nonisolated func settle(_ ids: [StreamID], _ outcome: Result<Int, RedisError>) {
        switch outcome {
        case .success: session.confirm(ids)
        case .failure(let error):
            logger.info("could not acknowledge", metadata: [LogKey.reason: "\(error.code)"])
            // The last two were another command's reply, and ended the connection.
            let isNoRefusal = [.cancelled, .replyTooLarge, .protocolViolation].contains(error.code)
            if error.isRetriable || isNoRefusal { return session.restore(ids) }
            // Trying again will not help, and reading on would only pile up what cannot be acknowledged.
            session.confirm(ids)
            session.mailbox.fail(error)
        }
    }
}
