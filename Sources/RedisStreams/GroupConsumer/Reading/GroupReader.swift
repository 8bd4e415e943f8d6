internal import Logging
internal import NIOCore

/// Reads for the group on its own connection, and performs what `GroupReaderStateMachine` decides: creates the group,
/// recovers the own pending list, reads new messages, claims idle ones.
actor GroupReader: ConsumerEngine, EventLoopActor {
    nonisolated let eventLoop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe eventLoop.executor.asUnownedSerialExecutor() }

    /// The parts that the reader works with.
    struct Parts: Sendable {
        let dispatcher: Dispatcher
        let reservations: Reservations
        let deleted: DeletedEntries
        let acknowledger: Acknowledger
        let redelivery: Redelivery
        let lifecycle: GroupLifecycle
        let idleRemoval: IdleConsumerRemoval
        let upkeep: Upkeep
        let waitLimit: WaitLimit
    }

    /// The most reads in flight at a time: the server works on one while this consumer parses and hands out the
    /// messages of the other.
    private static let maxReads = 2
    /// The smallest `COUNT` of a step of the claim scan. The server checks ten times as many entries; with fewer, a
    /// scan of the whole list would take too long.
    private static let leastClaimed = 10
    /// How long the server may take to end a read, before the connection is closed.
    private static let endReadTimeout = Duration.seconds(1)

    nonisolated let consumer: GroupConsumer
    nonisolated let logger: Logger
    private nonisolated let dispatcher: Dispatcher
    private let parts: Parts
    private let awaitsHandlers: Bool
    private var machine: GroupReaderStateMachine
    private var rights: RightsProbe
    var readsInFlight = ReadsInFlight()
    /// How many reads are in flight.
    private var reads = 0
    /// How many messages the last read asked for.
    private var lastCount = 0
    /// Whether the last read brought as many messages as it asked for: the stream has more.
    private var isBacklog = false
    /// Whether the consumer has asked the server to end the read that waits on it.
    private var hasEndedWait = false
    /// Whether the next read waits for messages that are being reclaimed: the buffer has no room for others.
    private var waitsForReclaims = false
    /// The connection of the last read.
    private(set) var connection: RedisConnection?
    /// Whether a handler may still run on a message of an earlier epoch.
    private var mayHandleOldMessages = false
    /// Whether the consumer has not recovered its pending list on the present master yet.
    private var isNewMaster = false
    /// Why an entry could not be read that is not pending for any consumer.
    private var unreadableWithoutID: String?

    nonisolated var route: any Route { consumer.route }
    nonisolated var buffer: MessageBuffer<DeliveredMessages> { dispatcher.buffer }
    nonisolated var backoff: Backoff { consumer.configuration.backoff }
    private nonisolated var pending: PendingMessages { dispatcher.pending }
    private nonisolated var configuration: GroupConsumer.Configuration { consumer.configuration }

    init(_ consumer: GroupConsumer, _ parts: Parts, awaitsHandlers: Bool) {
        self.consumer = consumer
        self.parts = parts
        self.awaitsHandlers = awaitsHandlers
        dispatcher = parts.dispatcher
        eventLoop = parts.dispatcher.pending.eventLoop
        logger = consumer.observer.log.logger
        rights = RightsProbe(consumer)
        machine = GroupReaderStateMachine(
            consumer.configuration,
            now: eventLoop.now,
            jitter: consumer.configuration.claimJitter ?? consumer.client.randomness()
        )
    }

    /// Whether the consumer knows everything that was pending for it at its start.
    var hasRecovered: Bool { machine.hasRecovered }

    // MARK: The life of the reader

    /// The owner of the handlers has cancelled this task, or, if the task belongs to the client, the client ends. In
    /// the second case the buffer throws the reason: a loop never just ends.
    func cancelled() {
        if awaitsHandlers { buffer.stop() } else { end(with: PoolStateMachine<RedisConnection>.shutDown) }
    }

    func failed(_ error: RedisError) -> FailureReaction {
        route.follow(error)
        if error.code == .noGroup, route.asksOwnerAgain() { return .reconnect }
        // Another consumer has created the group again.
        if error.code == .groupExists { groupIsNew() }
        // Now, and not only when the group was created again: a handler that returns meanwhile has nothing to
        // acknowledge.
        if error.code == .noGroup { groupIsGone() }
        if error.code == .replyTooLarge, configuration.acknowledgement == .never, lastCount == 1 {
            unreadableWithoutID = error.message
        }
        return machine.failed(error, waits: consumer.client.waitsForServer)
    }

    func paused() {
        isBacklog = false
        updateCoverage()
    }

    func interrupted(by error: RedisError, retryAfter delay: Duration) {
        machine.interrupted(by: error, now: eventLoop.now)
        consumer.observer.report(.interrupted(error, retryAfter: delay))
    }

    func leased(_ connection: RedisConnection) async throws(RedisError) {
        let before = self.connection
        self.connection = connection
        // While a read waits on this connection, settlements and renewals need another one.
        if configuration.acknowledgement.keepsPending { route.prepareShared() }
        if let call = rights.call {
            let result = await connection.probeRights(call)
            try rights.ended(result)
        }
        if let before, !connection.isToSameServer(as: before) { masterChanged() }
        if let before, before !== connection {
            try await consumer.killStale(before, on: connection, now: eventLoop.now)
        }
        await reportUnreadableUnacknowledged(on: connection)
    }

    /// The connection leads to another server than the one before. It may not know of the latest deliveries, renewals and
    /// acknowledgements, and its clock is another one.
    private func masterChanged() {
        isNewMaster = true
        let now = pending.leaseTime
        pending.change { $0.revokeFencing(at: now) }
        machine.recover()
        parts.lifecycle.assumeIsolated { $0.masterChanged() }
        parts.upkeep.start()
    }

    /// Claims nothing for one claim interval, so that other consumers claim the messages that this one has returned.
    func letOthersClaim() {
        machine.holdClaims(until: eventLoop.now + TimeAmount(configuration.effectiveClaimInterval ?? .zero))
    }

    // MARK: The group

    private func createGroup(isLost: Bool, on connection: RedisConnection) async throws(RedisError) {
        let start = try await parts.lifecycle.create(isLost: isLost, on: connection)
        groupIsNew()
        await parts.lifecycle.created(after: start, wasLost: isLost)
    }

    private func groupIsNew() {
        machine.createdGroup()
        groupIsGone()
    }

    /// A command other than a read has failed because there is no group. If it was created again meanwhile, the server
    /// may have given messages of the new group to this consumer.
    func groupWasLost() {
        groupIsGone()
        machine.recover()
    }

    private func groupIsGone() {
        machine.groupIsGone()
        parts.redelivery.assumeIsolated { $0.forgetRequests() }
        // The requests that the next read waits for were among these.
        stopWaitingForReclaims()
        if parts.lifecycle.assumeIsolated({ $0.beginEpoch() }) { mayHandleOldMessages = true }
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

    private func recover(after id: StreamID, on connection: RedisConnection) async throws(RedisError) {
        if let pause = machine.pauseBeforeRecovery { await eventLoop.sleep(for: pause) }
        // The recovery must not deliver messages again whose outcomes are queued.
        if !pending.isFinished { await parts.acknowledger.sendAll() }
        let isFirst = !machine.hasRecovered
        let last = try await parts.redelivery.recoverPage(
            after: id,
            count: machine.count,
            isFirst: isFirst,
            isFailover: isNewMaster,
            on: connection
        )
        machine.recovered(last: last)
        if last == nil { isNewMaster = false }
        if isFirst, machine.hasRecovered { await parts.lifecycle.observe(on: connection) }
    }

    // MARK: Reading

    func readOn(on connection: RedisConnection) {
        sendReads(besides: 0, on: connection)
    }

    /// Sends as many reads as the buffer has room for. Queued acknowledgements, and a step of the claim scan that is
    /// due, go before a read in the same write.
    ///
    /// - Parameter arrived: How many messages have arrived and are not in the buffer yet.
    private func sendReads(besides arrived: Int, on connection: RedisConnection) {
        var hasBegun = false
        parts.redelivery.readIsDue(besides: arrived)
        while readsInFlight.isRunning, reads < (isBacklog ? Self.maxReads : 1) {
            let room = buffer.room(besides: arrived + parts.reservations.all)
            guard room > 0, perform(machine.next(now: eventLoop.now), room: room, on: connection) else { break }
            hasBegun = true
        }
        // While there is a backlog, the server should work at once. Otherwise the tasks that wait for a message run
        // first.
        if hasBegun, isBacklog { connection.assumeIsolated { $0.flush() } }
        if !hasBegun, parts.reservations.all > 0 { waitForReclaims() }
        updateCoverage()
    }

    /// Sends the command of a step. Returns `false` for a step that has to wait until no command is in flight.
    private func perform(_ step: GroupReaderStateMachine.Step, room: Int, on connection: RedisConnection) -> Bool {
        switch step {
        case .createGroup, .recover: return false
        case .claim(let cursor): return sendClaim(from: cursor, room: room, on: connection)
        case .readNew(let block):
            sendAcknowledgements(on: connection)
            // On a backlog no read waits on the server: the commands behind it, and the outcomes it covers, would wait
            // too.
            sendRead(block: isBacklog ? nil : block, room: room, on: connection)
            return true
        }
    }

    private func sendAcknowledgements(on connection: RedisConnection) {
        let acknowledger = parts.acknowledger
        acknowledger.sendBeforeRead { command, sent in
            send(command, on: connection, notAfter: sent.fencingDeadline) { (_, outcome) throws(RedisError) in
                acknowledger.ended(sent, command.result(of: outcome))
            }
        }
    }

    private func sendRead(block: Duration?, room: Int, on connection: RedisConnection) {
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
        let sent = pending.leaseTime
        reads += 1
        parts.reservations.read(count, waits: block != nil)
        parts.redelivery.readWasSent()
        send(command, on: connection) { (reader, outcome) throws(RedisError) in
            reader.reads -= 1
            reader.parts.reservations.read(-count, waits: block != nil)
            try reader.received(outcome, of: command, sent: sent, on: connection)
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
        // First the next read: the server works on it while this consumer parses and hands out this batch.
        if isBacklog { sendReads(besides: arrived, on: connection) }
        let batch = try command.result(of: outcome).get().first
        guard var batch, let last = batch.last?.id else { return try receivedNothing(from: command, sent: sent) }
        hasEndedWait = false
        served(machine.readNew(arrived, bytes: batch.byteCount))
        if machine.isSetBack(to: batch[0].id) { groupIsNew() }
        machine.delivered(upTo: last)
        if mayHandleOldMessages { requeueHandled(&batch) }
        if configuration.acknowledgement == .onDelivery { return acknowledgeAndDeliver(batch, on: connection) }
        deliverNew(batch, leaseStart: sent)
    }

    private func receivedNothing(from command: XREADGROUP, sent: NIODeadline) throws(RedisError) {
        defer { hasEndedWait = false }
        guard let block = command.block, !hasEndedWait else { return served(machine.readNew()) }
        if pending.leaseTime - sent >= TimeAmount(block / 2) { return served(machine.readNew(hasWaited: true)) }
        if machine.readEndedEarly() {
            throw RedisError(.unblocked, "The server ends reads that wait for messages before their time.")
        }
    }

    /// A read has succeeded: only then an interruption is over.
    private func served(_ endsInterruption: Bool) {
        if endsInterruption { consumer.observer.report(.reconnected) }
    }

    /// A handler may still run on a message of an earlier epoch with the same id: the new message is requeued until
    /// that handler has ended.
    private func requeueHandled(_ batch: inout MessageBatch) {
        let handled = dispatcher.idsInHandlers(among: batch.map(\.id))
        mayHandleOldMessages = dispatcher.handlesLostMessages
        if handled.isEmpty { return }
        batch = batch.filter { !handled.contains($0.id) }
        parts.redelivery.assumeIsolated { $0.requeueHandled(Array(handled)) }
    }

    // MARK: Delivering

    /// Acknowledges messages, and delivers them when the server has confirmed that: otherwise they could be handled
    /// twice.
    private func acknowledgeAndDeliver(_ batch: MessageBatch, on connection: RedisConnection) {
        if batch.isEmpty { return }
        let command = consumer.xack(batch.map(\.id))
        parts.reservations.read(batch.count, waits: false)
        send(command, on: connection) { (reader, outcome) throws(RedisError) in
            reader.parts.reservations.read(-batch.count, waits: false)
            _ = try command.result(of: outcome).get()
            reader.consumer.observer.acknowledged(batch.count)
            reader.deliverNew(batch, leaseStart: .uptimeNanoseconds(0))
        }
        connection.assumeIsolated { $0.flush() }
    }

    private func deliverNew(_ batch: MessageBatch, leaseStart: NIODeadline) {
        if batch.isEmpty { return }
        let delivered = DeliveredBatch(batch, source: .new, pending: pending, leaseStart: leaseStart)
        deliver(delivered, bytes: batch.byteCount)
    }

    /// Puts a batch into the buffer.
    func deliver(_ batch: DeliveredBatch, bytes: Int) {
        // Most messages are handled before the timer fires: then a handler need not wake the event loop for its
        // outcome.
        let coalesces = !isBacklog && parts.acknowledger.beginCoalescing()
        dispatcher.deliver(batch, bytes: bytes, isPending: configuration.acknowledgement.keepsPending)
        parts.upkeep.start()
        parts.waitLimit.messagesWait()
        guard coalesces else { return }
        // After the tasks that these messages have woken, and after the next read, which covers their outcomes.
        let acknowledger = parts.acknowledger
        eventLoop.execute { acknowledger.later { $0.goOnCoalescing() } }
    }

    // MARK: Claiming

    /// Claims ids without their bodies (`JUSTID`): the delivery count decides what happens to a message, and its body
    /// arrives when it is reclaimed.
    private func sendClaim(from cursor: StreamID, room: Int, on connection: RedisConnection) -> Bool {
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
        pending.change { $0.beginInspecting() }
        send(command, on: connection) { (reader, outcome) throws(RedisError) in
            defer { reader.pending.change { $0.endInspecting() } }
            reader.claimed(try command.result(of: outcome).get())
        }
        return true
    }

    private func claimed(_ result: AutoclaimedIDs) {
        let didWork = !result.ids.isEmpty || !result.deletedIDs.isEmpty
        machine.claimed(next: result.next, didWork: didWork, now: eventLoop.now)
        parts.deleted.report(result.deletedIDs)
        if result.isComplete { parts.deleted.forget() }
        parts.idleRemoval.assumeIsolated { $0.claimed(result.ids.count, isComplete: result.isComplete) }
        let ids = dispatcher.unknown(among: result.ids)
        if ids.isEmpty { return }
        consumer.observer.report(.claimed(count: ids.count))
        parts.redelivery.assumeIsolated { $0.request(ids, .uncrashed, source: .claimed) }
        // The next step should follow at once, and the read behind this one may wait for a long time.
        if !result.isComplete { endWait() }
    }

    // MARK: Reads that wait

    /// Ends a read that waits on the server: the server answers it, with nothing or with messages that have just
    /// arrived, and the connection stays open. Returns when no read waits any more, or after a timeout.
    func endRead() async {
        await parts.redelivery.stopRetrying()
        stopWaitingForReclaims()
        guard readsInFlight.isWaiting, endWait() else { return }
        await eventLoop.sleep(for: Self.endReadTimeout)
    }

    /// Asks the server to answer a read that waits. Returns `false` if there is no connection to ask on.
    @discardableResult
    private func endWait() -> Bool {
        guard let connection, let id = connection.clientID else { return false }
        guard let shared = consumer.route.readyShared(toServerOf: connection) else { return false }
        hasEndedWait = true
        shared.enqueue(CLIENT.UNBLOCK(id: id)) { _ in }
        return true
    }

    /// No command is in flight, and the buffer has room only for messages that are being reclaimed: the next read
    /// follows when these have arrived.
    private func waitForReclaims() {
        guard readsInFlight.isEmpty, readsInFlight.isRunning, !waitsForReclaims else { return }
        guard parts.redelivery.assumeIsolated({ $0.isServing }) else { return }
        waitsForReclaims = true
        readsInFlight.began()
    }

    private func stopWaitingForReclaims() {
        guard waitsForReclaims else { return }
        waitsForReclaims = false
        readsInFlight.ended()
        if let connection { goOn(on: connection) }
    }

    /// A request of the redelivery has ended.
    func reclaimEnded() {
        stopWaitingForReclaims()
        if let connection { goOn(on: connection) }
    }

    /// Updates whether outcomes are covered by the next read: it follows soon if the reply to a read is about to
    /// arrive.
    private func updateCoverage() {
        pending.setCoveredByRead(isBacklog && reads > 0)
    }

    // MARK: Entries that cannot be read

    /// A read with `NOACK` brought one entry that could not be read and is not pending for any consumer. Its id is the
    /// last delivered id of the group.
    private func reportUnreadableUnacknowledged(on connection: RedisConnection) async {
        guard let reason = unreadableWithoutID else { return }
        unreadableWithoutID = nil
        let call = consumer.call(.snapshot)
        guard let reply = try? await connection.run(call), let snapshot = try? GroupSnapshot(reply, to: call) else {
            return
        }
        // The server does not keep it pending, so it is lost.
        consumer.observer.report(.unreadable(id: snapshot.lastDelivered, stream: consumer.stream, reason: reason))
    }
}
