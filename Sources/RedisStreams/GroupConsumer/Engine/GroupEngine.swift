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
    var pipeline = Pipeline()
    /// How many messages the reads and claims on their way may bring.
    var expected = 0
    /// How many of these come with reads that wait on the server, where most likely nothing is.
    var expectedLater = 0
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
    var parked: [StreamID: SetAside] = [:]
    /// What is known of messages that have to be taken once more, until they are, or are others'.
    var notes: [StreamID: TakingNote] = [:]
    var retryTimer: Scheduled<Void>?
    var leaseTimer: Scheduled<Void>?
    var giveBackTimer: Scheduled<Void>?
    /// Whether leases are renewed: not before the start, nor at the end.
    var isRenewing = false
    /// Whether suspects are handled: nothing else is taken meanwhile.
    var isAlone = false
    var watch = GroupWatch()
    /// How many messages had been delivered when the group was looked at last.
    var observedDeliveries = -1
    /// The highest id that was delivered as new.
    private var lastNew = StreamID.zero

    nonisolated var configuration: GroupConsumer.Configuration { consumer.configuration }
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

    /// Serves the session until it is finished, everything that is due has been sent, and the rest was handed over; or until
    /// something fails that trying again does not mend: that goes to the session, which throws it at who asks for messages.
    nonisolated func run() async {
        await beginRenewing()
        await withDiscardingTaskGroup { group in
            group.addTask { await self.settlementLoop() }
            await self.session.mailbox.whileOpen {
                await self.readLoop()
            } ending: {
                await self.endRead()
            }
        }
        await endRenewing()
        // A read that was ended may have taken settlements along.
        await settleRest()
        await handOver()
    }

    /// By those who handle messages, or, where they do not own this task, by the end of the client. That is told: a loop
    /// never just ends.
    func cancelled() {
        if awaitsHandlers { mailbox.stop() } else { mailbox.fail(PoolStateMachine<RedisConnection>.shutDown) }
    }

    func failed(_ error: RedisError) -> FailureReaction {
        // Another consumer has made the group anew.
        if error.code == .groupExists { groupIsNew() }
        return machine.failed(error)
    }

    func paused() {
        isBacklog = false
        updateAttention()
    }

    func interrupted(by error: RedisError, retryAfter delay: Duration) {
        wasInterrupted = true
        report(.interrupted(error, retryAfter: delay))
    }

    /// There is a connection. What the one before may still wait for on the server is ended: it would be given messages
    /// that nobody is there to take.
    func leased(_ connection: RedisConnection) async throws(RedisError) {
        let before = self.connection
        self.connection = connection
        // While a read waits on this one, settlements and renewals need another.
        if configuration.acknowledgement.keepsPending { pool.prepareShared() }
        if let before, before !== connection { try await endGhost(before, on: connection) }
        if wasInterrupted { report(.reconnected) }
        wasInterrupted = false
    }

    // MARK: Steps that are awaited

    func takeStep(on connection: RedisConnection) async throws(RedisError) -> Bool {
        switch machine.next(now: eventLoop.now) {
        case .createGroup(let isLost): try await createGroup(isLost: isLost, on: connection)
        case .sweep(let id): try await sweep(after: id, on: connection)
        case .takeSuspects(let ids): try await takeSuspects(ids, on: connection)
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
        logger.info("group created", metadata: [LogKey.message: "\(start)"])
        report(.groupCreated(after: start, wasLost: isLost))
    }

    /// The group is another one than before: nothing is pending in it, and what was delivered may be again.
    private func groupIsNew() {
        machine.createdGroup()
        session.revokeProofs()
        session.stopWaiting(for: machine.takeSuspects() + parked.keys)
        parked = [:]
        notes = [:]
        retries = RetrySchedule()
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
        while pipeline.isRunning, reads < (isBacklog ? Self.maxReads : 1) {
            let room = mailbox.room(besides: arrived + expected)
            guard room > 0, begin(machine.next(now: eventLoop.now), room: room, on: connection) else { break }
            hasBegun = true
        }
        // While there is a backlog the server shall work at once; else first comes who waits for the message.
        if hasBegun, isBacklog { connection.assumeIsolated { $0.flush() } }
        updateAttention()
    }

    /// Returns `false` for a step that has to wait until nothing is on its way.
    private func begin(_ step: GroupConsumerStateMachine.Step, room: Int, on connection: RedisConnection) -> Bool {
        switch step {
        case .createGroup, .sweep, .takeSuspects: return false
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
            begin(command, on: connection, notAfter: sent.provenUntil) { (engine, outcome) throws(RedisError) in
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
        let sent = session.leaseTime
        reads += 1
        expected += count
        if block != nil { expectedLater += count }
        begin(command, on: connection) { (engine, outcome) throws(RedisError) in
            engine.reads -= 1
            engine.expected -= count
            if block != nil { engine.expectedLater -= count }
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
        machine.readNew(arrived, bytes: batch?.byteCount ?? 0)
        guard var batch, let last = batch.last?.id else { return }
        // A group only goes forward, but for one that was made anew or set back: it delivers again what is held here.
        if batch[0].id <= lastNew {
            let news = Set(session.unknown(among: batch.map(\.id)))
            batch = batch.filter { news.contains($0.id) }
        }
        lastNew = max(lastNew, last)
        if configuration.acknowledgement == .onDelivery { return beginDelivery(of: batch, on: connection) }
        deliver(batch, source: .new, granted: sent)
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
            engine.deliver(batch, source: .new, granted: .uptimeNanoseconds(0))
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
        machine.claimed(next: result.next, isEmpty: result.ids.isEmpty, now: eventLoop.now)
        reportDeleted(result.deletedIDs)
        if result.isComplete { reportedDeleted = [] }
        let ids = untaken(among: result.ids)
        if ids.isEmpty { return }
        logger.info("claimed", metadata: [LogKey.count: "\(ids.count)"])
        report(.claimed(count: ids.count))
        beginTaking(ids, .fair, source: .claimed)
        // More is to be had than one step brings, and the read behind it may wait for as long as one may.
        if !result.isComplete { endWaiting() }
    }

    /// Hands a batch to the session.
    func deliver(
        _ batch: MessageBatch,
        counts: [DeliveryCount]? = nil,
        source: GroupMessage.Source,
        granted: NIODeadline
    ) {
        if batch.isEmpty { return }
        // Most messages are handled before the time is over: then nobody has to be told of what is due.
        let gathers = !isBacklog && beginGathering()
        let delivered = DeliveredBatch(batch, counts: counts, source: source, session: session, granted: granted)
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
        logger.info("pending entries were deleted", metadata: [LogKey.count: "\(ids.count)"])
        report(.deleted(ids: ids))
    }

    /// Whether a read comes back soon, so that the next one takes along what is due.
    var isReadingOn: Bool { isBacklog && reads > 0 }

    nonisolated func report(_ event: ConsumerEvent) { session.observer.report(event) }
}
