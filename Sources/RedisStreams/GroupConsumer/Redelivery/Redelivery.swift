internal import Logging
internal import NIOCore
internal import Synchronization

/// Reclaims messages that are pending for this consumer: since before a restart, claimed from other consumers, or
/// because their handlers failed. It fetches their bodies on its own connection, one script after the other: if a body
/// is too large for a reply, no other command loses its reply.
actor Redelivery: EventLoopActor {
    nonisolated let eventLoop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe eventLoop.executor.asUnownedSerialExecutor() }

    /// The parts that act on events here. All are called on the event loop.
    struct Listeners: Sendable {
        /// There are leases to renew, or other periodic work.
        var needsUpkeep: @Sendable () -> Void = {}
        /// A request has ended: the reader may continue.
        var ended: @Sendable () -> Void = {}
        /// Messages were reclaimed, and are delivered next, with the number of their bytes.
        var deliver: @Sendable (DeliveredBatch, Int) -> Void = { _, _ in }
        /// Messages were returned: this consumer must not claim them before others can.
        var returned: @Sendable () -> Void = {}
        /// The group of this epoch does not exist any more.
        var groupWasLost: @Sendable (_ epoch: Int) -> Void = { _ in }
        /// A retry does not mend this error: the consumer ends.
        var cannotGoOn: @Sendable (RedisError) -> Void = { _ in }
    }

    /// After which time to try again, if a cancelled handler still runs on the message.
    private static let timeToReturn = TimeAmount.milliseconds(100)
    /// For how long orphans have to be idle, if the consumer claims nothing.
    private static let orphanIdleTime = Duration.seconds(10)

    let consumer: GroupConsumer
    nonisolated let dispatcher: Dispatcher
    let deleted: DeletedEntries
    let listeners: Listeners
    private let rules: FailureRules
    private let reservations: Reservations
    private let logger: Logger
    var queue = ReclaimQueue()
    private nonisolated let signal = Signal()
    /// Whether `serve` runs.
    private(set) var isServing = false
    /// Whether messages were retried since the last read was sent: retries and reads take turns.
    private nonisolated let isTurnOfReads = Atomic(false)
    private var retryTimer: Scheduled<Void>?

    var pending: PendingMessages { dispatcher.pending }
    var route: any Route { consumer.route }
    var configuration: GroupConsumer.Configuration { consumer.configuration }
    var isStopping: Bool { dispatcher.buffer.isStopping }

    init(
        _ consumer: GroupConsumer,
        _ dispatcher: Dispatcher,
        _ deleted: DeletedEntries,
        _ reservations: Reservations,
        _ listeners: Listeners
    ) {
        eventLoop = dispatcher.pending.eventLoop
        self.consumer = consumer
        self.dispatcher = dispatcher
        self.deleted = deleted
        self.reservations = reservations
        self.listeners = listeners
        rules = dispatcher.pending.rules
        logger = consumer.observer.log.logger
    }

    // MARK: Recovery

    /// Reads a page of the own pending list, and delivers the messages that are new here. Returns the last id of the
    /// page; `nil` after the last page.
    ///
    /// - Parameters:
    ///   - isFirst: Whether this is the first recovery. Messages that only a later one finds were delivered in a reply that
    ///     was lost, so that their delivery is counted already.
    ///   - isFailover: Whether it is the first one on a new master, which may not know of the latest acknowledgements.
    func recoverPage(
        after id: StreamID,
        count: Int,
        isFirst: Bool,
        isFailover: Bool,
        on connection: RedisConnection
    ) async throws(RedisError) -> StreamID? {
        pending.change { $0.beginInspecting() }
        defer { pending.change { $0.endInspecting() } }
        let page = min(count, ReclaimQueue.maxIDs)
        let found = try await connection.execute(consumer.pendingEntries(after: id, count: page))
        let entries = found.filter { $0.id > id }
        var ids = dispatcher.unknown(among: entries.map(\.id))
        if isFailover { ids = try await acknowledgeAgain(ids, on: connection) }
        if !ids.isEmpty {
            let isCounted = !isFirst || !configuration.acknowledgement.keepsPending
            startReclaiming(ids, source: .pending)
            let request = ReclaimRequest(ids: ids, mode: isCounted ? .counted : .uncrashed, source: .pending)
            try await reclaim(request, on: connection)
        }
        let last = found.count == page ? entries.last?.id : nil
        pending.change { $0.forgetOrphans(after: id, upTo: last ?? .max, except: Set(entries.map(\.id))) }
        return last
    }

    /// Acknowledges what this consumer had acknowledged on the old master. Returns the other ids.
    ///
    /// The same id may be that of another entry on the new master, but not of one that is pending for this consumer before
    /// it has read anything there: both masters had that one in common.
    private func acknowledgeAgain(
        _ ids: [StreamID],
        on connection: RedisConnection
    ) async throws(RedisError) -> [StreamID] {
        let again = pending.read { $0.acknowledged.among(ids) }
        if again.isEmpty { return ids }
        _ = try await connection.execute(XACK(consumer.stream, group: consumer.group, ids: again))
        consumer.observer.log.logger.info(
            "acknowledged messages again, since a failover had taken that back",
            metadata: [LogKey.count: "\(again.count)"]
        )
        let settled = Set(again)
        return ids.filter { !settled.contains($0) }
    }

    /// Reclaims messages that the server gave to this consumer in a reply that was lost. Without a claim scan, no
    /// consumer would find them.
    func reclaimOrphans() {
        guard configuration.safeguards.contains(.recovery), let connection = route.readyShared() else { return }
        let command = XPENDING.Entries(
            consumer.stream,
            group: consumer.group,
            count: 1000,
            minIdle: Self.orphanIdleTime,
            consumer: consumer.name
        )
        pending.change { $0.beginInspecting() }
        connection.enqueue(command) { outcome in
            self.later { redelivery in
                defer { redelivery.pending.change { $0.endInspecting() } }
                redelivery.deleted.forget()
                guard let entries = try? command.result(of: outcome).get() else { return }
                redelivery.request(redelivery.dispatcher.unknown(among: entries.map(\.id)), .counted, source: .pending)
            }
        }
    }

    // MARK: Requests

    private func startReclaiming(_ ids: [StreamID], source: GroupMessage.Source) {
        pending.change { $0.beginReclaiming(ids, source: source) }
        listeners.needsUpkeep()
    }

    /// Queues a request for messages. Their delivery counts do not change before the server has executed it.
    func request(_ ids: [StreamID], _ mode: ReclaimMode, source: GroupMessage.Source) {
        if ids.isEmpty { return }
        startReclaiming(ids, source: source)
        if isStopping { return }
        reservations.reclaim(ids.count)
        queue.add(ids, mode, source: source)
        signal.fire()
    }

    /// Forgets all requests, since the group was lost.
    func forgetRequests() {
        reservations.reclaim(-queue.removeAll())
    }

    /// Serves requests until the task is cancelled.
    func serve() async {
        isServing = true
        defer {
            isServing = false
            listeners.ended()
        }
        var attempt = 0
        while !isStopping, !Task.isCancelled {
            guard !queue.isEmpty else {
                await signal.wait()
                continue
            }
            do throws(RedisError) {
                let connection = try await route.lease(on: eventLoop)
                defer { route.release(connection) }
                try await serveNext(on: connection)
                attempt = 0
            } catch {
                if Task.isCancelled { return }
                route.follow(error)
                attempt += 1
                let delay = configuration.backoff.delay(
                    attempt: attempt,
                    jitter: consumer.client.randomness(),
                    after: error
                )
                logger.log(
                    level: .of(attempt: attempt),
                    "could not reclaim messages, trying again",
                    metadata: LogKey.retry(error, attempt, delay)
                )
                await eventLoop.sleep(for: delay)
            }
        }
    }

    private func serveNext(on connection: RedisConnection) async throws(RedisError) {
        // The group may have been lost while this task waited for the connection, and all requests with it.
        guard var request = queue.next() else { return }
        let count = request.ids.count
        defer {
            reservations.reclaim(-count)
            listeners.ended()
        }
        request.ids = pending.read { $0.reclaiming(among: request.ids) }
        postponeHandled(&request)
        if request.ids.isEmpty { return }
        let epoch = pending.read { $0.epoch }
        do throws(RedisError) {
            try await reclaim(request, on: connection)
        } catch {
            switch error.code {
            // Each message is requested alone now; one that was alone is dead-lettered or retried.
            case .replyTooLarge: return
            case .noGroup where route.asksOwnerAgain(): throw error
            case .noGroup: listeners.groupWasLost(epoch)
            case _ where error.isRetriable || error.code == .cancelled: throw error
            // Such as a missing right: the consumer would claim messages again and again that it cannot reclaim.
            default: listeners.cannotGoOn(error)
            }
        }
    }

    /// Postpones messages that a handler of this consumer still runs on, although they were lost meanwhile: no second
    /// handler may run beside it.
    private func postponeHandled(_ request: inout ReclaimRequest) {
        let handled = dispatcher.idsInHandlers(among: request.ids)
        if handled.isEmpty { return }
        request.ids.removeAll { handled.contains($0) }
        for id in handled { postpone(id, for: Self.timeToReturn) }
    }

    func postpone(_ id: StreamID, for time: TimeAmount) {
        pending.change { $0.postpone(id, until: eventLoop.now + time) }
        armRetryTimer()
    }

    /// Requeues new messages for a little later, since handlers of an earlier epoch still run on the same ids.
    func requeueHandled(_ ids: [StreamID]) {
        let due = eventLoop.now + Self.timeToReturn
        pending.settle(.requeue(ids.sorted().map { Requeue(id: $0, count: DeliveryCount(0), due: due) }))
    }

    // MARK: Reclaiming

    /// Fetches the bodies of messages that are *reclaiming*, and delivers them.
    private func reclaim(_ request: ReclaimRequest, on connection: RedisConnection) async throws(RedisError) {
        let epoch = pending.read({ $0.epoch })
        let sent = pending.leaseTime
        pending.change { $0.beginInspecting() }
        defer { pending.change { $0.endInspecting() } }
        do throws(RedisError) {
            let call = consumer.call(.reclaim, mode: request.mode, ids: request.ids)
            let reclaimed = try ReclaimedMessages(try await connection.run(call), to: call, of: consumer.stream)
            guard epoch == pending.read({ $0.epoch }) else { return }
            if configuration.acknowledgement == .onDelivery, !reclaimed.batch.isEmpty {
                // They are delivered when the server has confirmed the acknowledgement: otherwise they could be handled
                // twice.
                _ = try await connection.execute(consumer.xack(reclaimed.batch.map(\.id)))
                consumer.observer.acknowledged(reclaimed.batch.count)
            }
            received(reclaimed, of: request, sent: sent)
        } catch {
            if epoch == pending.read({ $0.epoch }) { couldNotReclaim(request, error) }
            throw error
        }
    }

    /// Delivers reclaimed messages, except for those that were settled meanwhile, and those that become dead letters.
    private func received(_ reclaimed: ReclaimedMessages, of request: ReclaimRequest, sent: NIODeadline) {
        var reclaimed = reclaimed
        if !reclaimed.deleted.isEmpty {
            // Redis 6.2 keeps deleted entries pending.
            pending.settle(.acknowledge(reclaimed.deleted, isCertain: false))
            deleted.report(reclaimed.deleted)
        }
        if !reclaimed.candidates.isEmpty { quarantine(reclaimed.candidates, source: request.source) }
        // With `.onDelivery` they are acknowledged, and nobody else delivers them.
        let isAcknowledged = configuration.acknowledgement == .onDelivery
        let arrived = reclaimed.batch.map(\.id)
        let wanted = Set(isAcknowledged ? arrived : pending.read { $0.reclaiming(among: arrived) })
        reclaimed.keep(wanted.subtracting(dispatcher.idsInHandlers(among: Array(wanted))))
        deadLetter(&reclaimed)
        consumer.observer.redelivered(reclaimed.batch.count)
        let ids = reclaimed.batch.map(\.id)
        let admitted = pending.read { table in ids.filter { table.isAdmitted($0) } }
        for id in admitted {
            var one = reclaimed
            one.keep([id])
            deliver(one, source: request.source, sent: sent, isQuarantined: true)
        }
        reclaimed.keep(Set(ids).subtracting(admitted))
        deliver(reclaimed, source: request.source, sent: sent)
        // Another consumer owns the other messages, or they have an outcome.
        let quarantined = Set(reclaimed.candidates.map(\.id))
        pending.change { $0.endReclaiming(request.ids.filter { !quarantined.contains($0) }) }
        admitQuarantined()
    }

    /// Dead-letters messages with too many failures or crashes.
    private func deadLetter(_ reclaimed: inout ReclaimedMessages) {
        var remaining = Set<StreamID>()
        for (message, count) in zip(reclaimed.batch, reclaimed.counts) {
            guard let deadLetter = configuration.deadLetter, !deadLetter.isOrigin(of: message),
                let reason = rules.deadLetterReason(for: count)
            else {
                remaining.insert(message.id)
                continue
            }
            pending.settle(.publish(deadLetter.publication(of: message, group: consumer.group, reason: reason)))
        }
        reclaimed.keep(remaining)
    }

    private func deliver(
        _ reclaimed: ReclaimedMessages,
        source: GroupMessage.Source,
        sent: NIODeadline,
        isQuarantined: Bool = false
    ) {
        if reclaimed.batch.isEmpty { return }
        let batch = DeliveredBatch(
            reclaimed.batch,
            counts: reclaimed.counts,
            source: source,
            pending: pending,
            leaseStart: sent,
            isQuarantined: isQuarantined
        )
        listeners.deliver(batch, reclaimed.batch.byteCount)
    }

    /// A request failed. If the server may have counted its deliveries, no process has crashed on these messages: they
    /// are reclaimed again without another count, and each alone, which shows those that cannot be read.
    private func couldNotReclaim(_ request: ReclaimRequest, _ error: RedisError) {
        let ids = request.ids
        let isRefused = error.code == .replyTooLarge
        guard isRefused || (error.mayHaveExecuted && error.isRetriable) else {
            pending.change { $0.abandonReclaiming(ids) }
            return admitQuarantined()
        }
        if ids.count == 1, isRefused { return couldNotRead(ids[0], because: error.message, isCertain: true) }
        if ids.count == 1, pending.read({ $0.reclaimState(of: ids[0]) })?.wasLostAlone == true {
            let reason = "The connection ended twice while the entry was read; see client-output-buffer-limit."
            return couldNotRead(ids[0], because: reason, isCertain: false)
        }
        let unsure = pending.change { $0.replyWasLost(ids, source: request.source) }
        if configuration.acknowledgement == .manual {
            for id in unsure { self.request([id], .counted, source: request.source) }
        } else {
            let candidates = unsure.map { Quarantine.Candidate(id: $0, count: .first) }
            pending.change { $0.quarantine(candidates, source: request.source, now: eventLoop.now) }
        }
        admitQuarantined()
    }

    // MARK: Quarantine

    /// A process may have crashed on these messages: they run in quarantine, so that another crash does not affect
    /// innocent messages. With manual acknowledgement they do not, since the user might never settle them and free
    /// their slots.
    private func quarantine(_ candidates: [Quarantine.Candidate], source: GroupMessage.Source) {
        if configuration.acknowledgement == .manual {
            return request(candidates.map(\.id), .alone, source: source)
        }
        pending.change { $0.quarantine(candidates, source: source, now: eventLoop.now) }
        listeners.needsUpkeep()
        logger.info(
            "messages are in quarantine: a process may have crashed on them",
            metadata: [LogKey.count: "\(candidates.count)"]
        )
    }

    /// Reclaims as many quarantined messages as there are slots for.
    func admitQuarantined() {
        while !isStopping, let (mode, messages) = pending.change({ $0.admitQuarantined() }) {
            for source in [GroupMessage.Source.pending, .claimed, .retried] {
                let ids = messages.filter { !$0.state.isCounted && $0.state.source == source }.map(\.id)
                request(ids, mode, source: source)
            }
            // The reply for these was lost, maybe because of one of them: each is requested alone.
            for (id, state) in messages where state.isCounted { request([id], .counted, source: state.source) }
        }
    }

    /// Returns messages to the group that have waited in quarantine for longer than a third of the lease: another
    /// consumer may have a free slot.
    func requeueOverdueQuarantined() {
        guard let lease = configuration.lease.map({ TimeAmount($0) }) else { return }
        let latest = eventLoop.now - .nanoseconds(lease.nanoseconds / 3)
        let count = pending.change { $0.requeueQuarantined(waitingSince: latest) }
        if count == 0 { return }
        pending.wakeAcknowledger()
        listeners.returned()
        logger.info(
            "returned messages to the group: they waited too long in quarantine",
            metadata: [LogKey.count: "\(count)"]
        )
    }

    // MARK: Retries

    /// Requeues deferred messages that are due within a lease, with the time that is left.
    func requeueDeferred() {
        guard let lease = configuration.lease else { return }
        let horizon = eventLoop.now + TimeAmount(lease)
        if pending.change({ $0.requeueDeferred(dueBefore: horizon) }) { pending.wakeAcknowledger() }
    }

    /// Sets the timer for the first scheduled message.
    func armRetryTimer() {
        retryTimer?.cancel()
        retryTimer = nil
        guard let next = pending.read({ $0.nextDue }), !isStopping else { return }
        retryTimer = eventLoop.scheduleTask(deadline: next) { self.assumeIsolated { $0.retryDue() } }
    }

    func stopRetrying() {
        retryTimer?.cancel()
        retryTimer = nil
    }

    private func retryDue() {
        retryTimer = nil
        if isStopping { return }
        reclaimDue()
        if pending.read({ $0.nextDue }).map({ $0 > eventLoop.now }) ?? true { return armRetryTimer() }
        retryTimer = eventLoop.scheduleTask(in: .milliseconds(50)) { self.assumeIsolated { $0.retryDue() } }
    }

    /// The reader is about to send a read. Retries take turns with new messages: on a backlog, new messages would take
    /// all the room in the buffer, and messages that fail again and again must not take it all either.
    ///
    /// - Parameter arrived: How many messages have arrived and are not in the buffer yet.
    nonisolated func readIsDue(besides arrived: Int) {
        guard !isTurnOfReads.load(ordering: .relaxed), hasDue else { return }
        assumeIsolated { $0.reclaimDue(besides: arrived) }
    }

    nonisolated func readWasSent() { isTurnOfReads.store(false, ordering: .relaxed) }

    private nonisolated var hasDue: Bool {
        dispatcher.pending.read { $0.nextDue }.map { $0 <= eventLoop.now } ?? false
    }

    private func reclaimDue(besides arrived: Int = 0) {
        guard hasDue, !isStopping else { return }
        let room = dispatcher.buffer.room(besides: arrived + reservations.soon)
        if room == 0 { return }
        let limit = min(ReclaimQueue.maxIDs, max(1, room / 2))
        let due = pending.change { $0.reclaimDue(now: eventLoop.now, atMost: limit) }
        isTurnOfReads.store(true, ordering: .relaxed)
        request(due, .uncrashed, source: .retried)
    }
}
