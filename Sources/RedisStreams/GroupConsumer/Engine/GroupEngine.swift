internal import DequeModule
internal import Logging
internal import NIOCore

/// Performs what `GroupConsumerStateMachine` decides: creates the group, reads, claims, delivers to the session. In files of
/// their own: settling what the session says is due, renewing leases, taking messages again, and handing over at the end.
actor GroupEngine: ConsumerEngine {
    nonisolated let eventLoop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe eventLoop.executor.asUnownedSerialExecutor() }

    let consumer: GroupConsumer
    let session: GroupSession
    let logger: Logger
    let awaitsHandlers: Bool
    var machine: GroupConsumerStateMachine
    var readsInFlight = ReadsInFlight()
    /// How many messages the reads and claims on their way may bring.
    var expected = 0
    /// How many of them a read may bring that waits on the server.
    var expectedByWaitingRead = 0
    /// Whether messages were to be retried since the last read was sent.
    var readIsNext = false
    /// How many messages the last read asked for.
    private var lastCount = 0
    /// How many reads are on their way.
    private var reads = 0
    /// Whether the last read brought all that it may: more is there.
    private var isBacklog = false
    /// Whether what is due is sent in a little while.
    var isGathering = false
    /// What was reported as deleted since the last search for idle messages came round.
    var reportedDeleted: Set<StreamID> = []
    /// The connection that was read on last.
    var connection: RedisConnection?
    private var wasInterrupted = false
    /// What is handled again, and when.
    var retries = RetrySchedule()
    /// What is handled again after more than a lease.
    var parked: [StreamID: Requeue] = [:]
    /// What is known of messages that have to be taken once more, until they are, or are others'.
    var notes: [StreamID: ReclaimState] = [:]
    var retryTimer: Scheduled<Void>?
    var leaseTimer: Scheduled<Void>?
    var namesTimer: Scheduled<Void>?
    /// When the end has taken too long.
    var endTimer: Scheduled<Void>?
    /// Whether the end has taken too long: nothing more is sent.
    var isGivenUp = false
    let hasEnded = Signal()
    /// Whether the rights were probed, and suffice.
    var hasProbedRights = false
    /// Whether the claim scan that is going on has brought messages.
    var hasClaimed = false
    var giveBackTimer: Scheduled<Void>?
    /// Whether leases are renewed: not before the start, nor at the end.
    var isRenewing = false
    /// What is to be reclaimed, in this order.
    var reclaims: Deque<ReclaimRequest> = []
    nonisolated let reclaimSignal = Signal()
    /// Whether requests are served.
    var isReclaiming = false
    /// Whether reading waits until messages that are being reclaimed are here: there is no room for others.
    var readingWaits = false
    /// Messages that a process may have crashed on.
    var quarantine: Quarantine
    /// Entries that could not be read.
    var unreadableIDs: Set<StreamID> = []
    /// Why an entry could not be read that is pending for nobody.
    var unreadableWithoutID: String?
    /// Counts the groups of this name that there have been: what is known of messages is of the last one only.
    var epoch = 0
    /// Whether a handler may still be at work on a message of an earlier group.
    private var mayHandleOldMessages = false
    /// Whether the read that waits was asked to end.
    private var hasEndedWaiting = false
    var watch = GroupMonitor()
    /// How many messages had been delivered when the group was looked at last.
    var observedDeliveries = -1
    /// The highest id that was delivered as new.
    private var lastNew = StreamID.zero

    nonisolated var configuration: GroupConsumer.Configuration { consumer.configuration }
    nonisolated var pool: ConnectionPool { consumer.client.pool }
    nonisolated var buffer: MessageBuffer<DeliveredMessages> { session.buffer }
    nonisolated var backoff: Backoff { configuration.backoff }

    /// - Parameters:
    ///   - concurrency: How many messages are handled at a time.
    ///   - awaitsHandlers: Whether to go on acknowledging when the task is cancelled, until the session is finished.
    ///     Somebody has to see to that.
    init(consumer: GroupConsumer, session: GroupSession, concurrency: Int = 1, awaitsHandlers: Bool) {
        quarantine = Quarantine(concurrency: concurrency)
        self.awaitsHandlers = awaitsHandlers
        self.consumer = consumer
        self.session = session
        eventLoop = session.eventLoop
        machine = GroupConsumerStateMachine(
            consumer.configuration,
            now: eventLoop.now,
            jitter: consumer.configuration.claimJitter ?? consumer.client.pool.randomness()
        )
        logger = consumer.observer.log.logger
        session.onDue { [weak self] in
            guard let self else { return }
            eventLoop.execute { self.assumeIsolated { $0.gather() } }
        }
        session.onQuarantineEnded { [weak self] ids in
            guard let self else { return }
            eventLoop.execute { self.assumeIsolated { $0.quarantineEnded(ids) } }
        }
    }

    /// Serves the session until it is finished, everything that is due has been sent, and the rest was handed over; or until
    /// something fails that trying again does not mend: that goes to the session, which throws it at who asks for messages.
    ///
    /// A server that does not answer cannot hold up the end: see `endDeadline`.
    nonisolated func run() async {
        logger.info("consumer started")
        let work = Task {
            await self.serve()
            self.hasEnded.fire()
        }
        await withTaskCancellationHandler {
            await hasEnded.waitInAnyCase()
        } onCancel: {
            work.cancel()
        }
        await reportUnsettled()
    }

    private nonisolated func serve() async {
        await beginRenewing()
        await removeNamesLater(chance: pool.randomness())
        await withDiscardingTaskGroup { group in
            group.addTask { await self.settlementLoop() }
            await self.session.buffer.whileOpen {
                await withDiscardingTaskGroup { group in
                    group.addTask { await self.reclaimLoop() }
                    await self.readLoop()
                    group.cancelAll()
                }
            } ending: {
                await self.armEndDeadline()
                await self.endRead()
            }
        }
        await endRenewing()
        await endRemovingNames()
        // A read that was ended may have taken settlements along.
        await settleRest()
        await handOver()
        await disarmEndDeadline()
        if !buffer.hasFailed { logger.info("consumer stopped") }
    }

    /// By those who handle messages, or, where they do not own this task, by the end of the client. That is told: a loop
    /// never just ends.
    func cancelled() {
        if awaitsHandlers { buffer.stop() } else { end(with: PoolStateMachine<RedisConnection>.shutDown) }
    }

    func failed(_ error: RedisError) -> FailureReaction {
        // Another consumer has made the group anew.
        if error.code == .groupExists { groupIsNew() }
        // At once, and not only when there is another: a handler that returns meanwhile has nothing to acknowledge.
        if error.code == .noGroup { groupIsGone() }
        if error.code == .replyTooLarge, configuration.acknowledgement == .never, lastCount == 1 {
            unreadableWithoutID = error.message
        }
        return machine.failed(error, waits: consumer.client.waitsForServer)
    }

    func paused() {
        isBacklog = false
        updateAttention()
    }

    func interrupted(by error: RedisError, retryAfter delay: Duration) {
        wasInterrupted = true
        machine.interrupted(by: error, now: eventLoop.now)
        report(.interrupted(error, retryAfter: delay))
    }

    /// There is a connection. What the one before may still wait for on the server is ended: it would be given messages
    /// that nobody is there to take.
    func leased(_ connection: RedisConnection) async throws(RedisError) {
        let before = self.connection
        self.connection = connection
        // While a read waits on this one, settlements and renewals need another.
        if configuration.acknowledgement.keepsPending { pool.prepareShared() }
        if !hasProbedRights { try await probeRights(on: connection) }
        if let before, before !== connection { try await killStaleConnection(before, on: connection) }
        await reportUnreadableUnacknowledged(on: connection)
    }

    // MARK: Steps that are awaited

    func takeStep(on connection: RedisConnection) async throws(RedisError) -> Bool {
        switch machine.next(now: eventLoop.now) {
        case .createGroup(let isLost): try await createGroup(isLost: isLost, on: connection)
        case .recover(let id): try await recover(after: id, on: connection)
        case .claim, .readNew: return false
        }
        return true
    }

    private func createGroup(isLost: Bool, on connection: RedisConnection) async throws(RedisError) {
        let start = try await positionOfGroup(isLost: isLost, on: connection)
        try await connection.execute(
            XGROUP.CREATE(consumer.stream, group: consumer.group, from: .id(start), createStream: true)
        )
        groupIsNew()
        watch.created(after: start)
        report(.groupCreated(after: start, wasLost: isLost))
    }

    /// The group is another one than before, and the stream may be: an id may be that of another entry now. So nothing that
    /// was held or to be settled is of this group. What of it is still there is delivered again.
    private func groupIsNew() {
        machine.createdGroup()
        groupIsGone()
    }

    /// A command beside the reads has found no group. The reads may have been given messages of another one since.
    func groupWasLost() {
        groupIsGone()
        machine.recover()
    }

    private func groupIsGone() {
        epoch += 1
        lastNew = .zero
        parked = [:]
        notes = [:]
        retries = RetrySchedule()
        _ = quarantine.removeAll()
        expected -= reclaims.reduce(0) { $0 + $1.ids.count }
        reclaims = []
        unreadableIDs = []
        // What it waits for may have been among these.
        stopWaitingForReclaimed()
        let lost = session.beginEpoch()
        if lost.isEmpty { return }
        mayHandleOldMessages = true
        report(.leaseLost(ids: lost))
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
    /// - Parameter arrived: How many messages have arrived and are not in the buffer yet.
    private func readOn(besides arrived: Int, on connection: RedisConnection) {
        var hasBegun = false
        if !readIsNext { reclaimDue(besides: arrived) }
        while readsInFlight.isRunning, reads < (isBacklog ? Self.maxReads : 1) {
            let room = buffer.room(besides: arrived + expected)
            guard room > 0, begin(machine.next(now: eventLoop.now), room: room, on: connection) else { break }
            hasBegun = true
        }
        // While there is a backlog the server shall work at once; else first comes who waits for the message.
        if hasBegun, isBacklog { connection.assumeIsolated { $0.flush() } }
        if !hasBegun, expected > 0 { waitForReclaimed() }
        updateAttention()
    }

    /// Returns `false` for a step that has to wait until nothing is on its way.
    private func begin(_ step: GroupConsumerStateMachine.Step, room: Int, on connection: RedisConnection) -> Bool {
        switch step {
        case .createGroup, .recover: return false
        case .claim(let cursor): return beginClaim(from: cursor, room: room, on: connection)
        case .readNew(let block):
            beginSettling(on: connection)
            // On a backlog none waits on the server: what is behind it, and what it is to take along, would wait too.
            beginRead(block: isBacklog ? nil : block, room: room, on: connection)
            return true
        }
    }

    private func beginSettling(on connection: RedisConnection) {
        let shared = pool.readyShared()
        // All of it: a read may bring more than one command acknowledges.
        while let sent = session.takeDue(atMost: Self.maxAcknowledged, shared == nil ? .proven : .usual) {
            guard case .acknowledge(let ids, isProven: true) = sent.settlement else {
                // A script may have to be sent twice, and must not wait behind a read.
                if let shared { beginSettling(sent, on: shared) }
                continue
            }
            let command = consumer.xack(ids)
            begin(command, on: connection, notAfter: sent.fencingDeadline) { (engine, outcome) throws(RedisError) in
                engine.settled(sent, command.result(of: outcome).map { .count($0) })
            }
        }
    }

    private func beginRead(block: Duration?, room: Int, on connection: RedisConnection) {
        let count = max(1, min(machine.count, room))
        let command = XREADGROUP(
            group: consumer.group,
            consumer: consumer.name,
            streams: [.init(consumer.stream, .new)],
            count: count,
            block: block,
            noAck: configuration.acknowledgement == .never
        )
        lastCount = count
        readIsNext = false
        let sent = session.leaseTime
        let waiting = block == nil ? 0 : count
        reads += 1
        expected += count
        expectedByWaitingRead += waiting
        begin(command, on: connection) { (engine, outcome) throws(RedisError) in
            engine.reads -= 1
            engine.expected -= count
            engine.expectedByWaitingRead -= waiting
            try engine.received(outcome, of: command, sent: sent, on: connection)
        }
    }

    private func received(
        _ outcome: PendingReplies.Outcome,
        of command: XREADGROUP,
        sent: NIODeadline,
        on connection: RedisConnection
    ) throws(RedisError) {
        let arrived = (try? outcome.get().entryCount) ?? 0
        isBacklog = arrived == command.count
        // Before anything else: the server works while this batch is taken apart and handed out.
        if isBacklog { readOn(besides: arrived, on: connection) }
        let batch = try command.result(of: outcome).get().first
        guard var batch, let last = batch.last?.id else { return try receivedNothing(from: command, sent: sent) }
        hasEndedWaiting = false
        machine.readNew(arrived, bytes: batch.byteCount)
        noteServed()
        // A group only goes forward, but for one that was recreated or set back.
        if batch[0].id <= lastNew { groupIsNew() }
        lastNew = last
        if mayHandleOldMessages { deferHandled(&batch) }
        if configuration.acknowledgement == .onDelivery { return beginDelivery(of: batch, on: connection) }
        deliver(batch, source: .new, leaseStart: sent)
    }

    /// The read that waits was asked to end: that it comes back early says nothing of the server.
    func noteEndedWaiting() { hasEndedWaiting = true }

    private func receivedNothing(from command: XREADGROUP, sent: NIODeadline) throws(RedisError) {
        defer { hasEndedWaiting = false }
        guard let block = command.block, !hasEndedWaiting else { return machine.readNew() }
        if session.leaseTime - sent >= TimeAmount(block / 2) {
            machine.readNew(hasWaited: true)
            return noteServed()
        }
        if machine.readEndedEarly() {
            throw RedisError(.unblocked, "The server ends reads that wait for messages before their time.")
        }
    }

    /// A read has done what it should: not before that is an interruption over.
    private func noteServed() {
        guard wasInterrupted else { return }
        wasInterrupted = false
        report(.reconnected)
    }

    /// What a handler is still at work on, although its message was of an earlier group, is not begun beside it.
    private func deferHandled(_ batch: inout MessageBatch) {
        let handled = session.handled(among: batch.map(\.id))
        mayHandleOldMessages = session.handlesLostMessages
        if handled.isEmpty { return }
        batch = batch.filter { !handled.contains($0.id) }
        wait(for: Array(handled))
        let due = eventLoop.now + Self.timeToRetire
        session.add(.requeue(handled.sorted().map { Requeue(id: $0, count: DeliveryCount(0), due: due) }))
        session.stopWaiting(for: Array(handled))
    }

    /// Hands messages out once the server has them as acknowledged: else they could be handled twice.
    private func beginDelivery(of batch: MessageBatch, on connection: RedisConnection) {
        if batch.isEmpty { return }
        let command = consumer.xack(batch.map(\.id))
        expected += batch.count
        begin(command, on: connection) { (engine, outcome) throws(RedisError) in
            engine.expected -= batch.count
            _ = try command.result(of: outcome).get()
            engine.session.observer.count { $0.acknowledged += batch.count }
            engine.deliver(batch, source: .new, leaseStart: .uptimeNanoseconds(0))
        }
        connection.assumeIsolated { $0.flush() }
    }

    /// The server looks at ten times as many: with fewer, a claim scan would take too long to come round.
    private static let leastClaimed = 10

    /// Only ids: what is to be done with a message depends on what the server tells of it, and it comes when it is taken.
    private func beginClaim(from cursor: StreamID, room: Int, on connection: RedisConnection) -> Bool {
        guard let idleTime = configuration.claimIdleTime else { return false }
        let claim = XAUTOCLAIM(
            consumer.stream,
            group: consumer.group,
            consumer: consumer.name,
            minIdle: idleTime,
            start: cursor,
            count: min(machine.claimCount, max(Self.leastClaimed, room))
        )
        let command = XAUTOCLAIM.JUSTID(claim)
        machine.claimSent()
        session.beginLookingBack()
        begin(command, on: connection) { (engine, outcome) throws(RedisError) in
            defer { engine.session.endLookingBack() }
            engine.claimed(try command.result(of: outcome).get())
        }
        return true
    }

    private func claimed(_ result: AutoclaimedIDs) {
        let didWork = !result.ids.isEmpty || !result.deletedIDs.isEmpty
        machine.claimed(next: result.next, didWork: didWork, now: eventLoop.now)
        reportDeleted(result.deletedIDs)
        if result.isComplete { reportedDeleted = [] }
        claimScan(brought: result.ids.count, isComplete: result.isComplete)
        let ids = untaken(among: result.ids)
        if ids.isEmpty { return }
        report(.claimed(count: ids.count))
        requestReclaim(ids, .fair, source: .claimed)
        // More is to be had than one step brings, and the read behind it may wait for as long as one may.
        if !result.isComplete { endWaiting() }
    }

    /// Hands a batch to the session.
    func deliver(
        _ batch: MessageBatch,
        counts: [DeliveryCount]? = nil,
        source: GroupMessage.Source,
        leaseStart: NIODeadline,
        isQuarantined: Bool = false
    ) {
        if batch.isEmpty { return }
        // Most messages are handled before the time is over: then nobody has to be told of what is due.
        let gathers = !isBacklog && beginGathering()
        let delivered = DeliveredBatch(
            batch,
            counts: counts,
            source: source,
            session: session,
            leaseStart: leaseStart,
            isQuarantined: isQuarantined
        )
        session.deliver(delivered, bytes: batch.byteCount, isHeld: configuration.acknowledgement.keepsPending)
        keepRenewing()
        armGiveBack()
        // Behind those whom the messages have woken, and behind the read that takes along what they have settled.
        if gathers { eventLoop.execute { self.eventLoop.execute { self.assumeIsolated { $0.goOnGathering() } } } }
    }

    /// Reports each entry once, although both a search and a renewal may show it.
    func reportDeleted(_ deleted: [StreamID]) {
        let ids = deleted.filter { reportedDeleted.insert($0).inserted }
        guard !ids.isEmpty else { return }
        report(.deleted(ids: ids))
    }

    /// Whether a read comes back soon, so that the next one takes along what is due.
    var isReadingOn: Bool { isBacklog && reads > 0 }

    nonisolated func report(_ event: ConsumerEvent, because reason: String? = nil) {
        session.observer.report(event, because: reason)
    }
}
