internal import DequeModule
internal import Logging
internal import NIOCore

/// Whether messages are counted as delivered once more when they are taken, and which are left alone.
enum ReclaimMode: String, Sendable {
    /// Those that were delivered without an outcome are left alone, the others counted.
    case fair
    /// All are counted, as quarantined messages that run beside others of their kind.
    case company
    /// All are counted, as quarantined messages that run beside no other.
    case exclusive
    /// None is counted: it was this consumer that was given them, and did not get them.
    case known
}

/// What is known of a message that has to be taken once more.
struct ReclaimState: Sendable, Hashable {
    /// How it came to this consumer.
    var source = GroupMessage.Source.pending
    /// Whether it may be counted as delivered already: it was taken, and the reply was lost.
    var isCounted = false
    /// Whether that reply would have brought this message alone.
    var wasLostAlone = false
}

/// Messages to be reclaimed by id, and how.
struct ReclaimRequest: Sendable {
    var ids: [StreamID]
    var mode: ReclaimMode
    var source: GroupMessage.Source
}

/// What the script `take` returns.
struct ReclaimedMessages: Sendable {
    var batch: MessageBatch
    /// One for each message of the batch.
    var counts: [DeliveryCount] = []
    /// Those that were left alone.
    var suspects: [Quarantine.Candidate] = []
    var deleted: [StreamID] = []

    init(_ reply: RedisReply, to call: ScriptCall, of stream: StreamKey) throws(RedisError) {
        let parts = Array(try call.elements(reply))
        guard parts.count == 2 else { throw call.unexpected(reply) }
        batch = try call.batch(of: stream, parts[0])
        let states = Array(try call.elements(parts[1]))
        for first in stride(from: 0, to: states.count - states.count % 3, by: 3) {
            let id = try call.streamID(states[first])
            let count = DeliveryCount(try call.integer(states[first + 1]))
            switch try call.integer(states[first + 2]) {
            case 0: suspects.append(.init(id: id, count: count))
            case 1: counts.append(count)
            default: deleted.append(id)
            }
        }
        guard counts.count == batch.count else { throw call.unexpected(reply) }
    }

    /// Leaves out the messages whose ids are not among these.
    mutating func keep(_ ids: Set<StreamID>) {
        counts = zip(batch, counts).filter { ids.contains($0.0.id) }.map(\.1)
        batch = batch.filter { ids.contains($0.id) }
    }
}

// Reclaims messages that are pending for this consumer: from an earlier life, from others, or because they failed. They
// come over a connection of their own, one step after the other: a body that is too large for it, or that the server will
// not send, costs nobody else a reply.
extension GroupEngine {
    /// How many messages are reclaimed at a time: the server does nothing else meanwhile.
    private static let maxTaken = 100

    /// Looks through a page of the own pending list, and hands over what is not known.
    func recover(after id: StreamID, on connection: RedisConnection) async throws(RedisError) {
        if let pause = machine.pauseBeforeRecovery { await eventLoop.sleep(for: pause) }
        // What was settled must not be delivered again.
        if !session.isDone { await settleRest() }
        session.beginLookingBack()
        defer { session.endLookingBack() }
        let page = min(machine.count, Self.maxTaken)
        let found = try await connection.execute(consumer.pendingEntries(after: id, count: page))
        let entries = found.filter { $0.id > id }
        let ids = untaken(among: entries.map(\.id))
        if !ids.isEmpty {
            // What turns up after the first time was given to this consumer, and got lost on the way.
            let mode: ReclaimMode = machine.hasRecovered || !configuration.acknowledgement.keepsPending ? .known : .fair
            wait(for: ids)
            try await reclaim(ReclaimRequest(ids: ids, mode: mode, source: .pending), on: connection)
        }
        let isFirst = !machine.hasRecovered
        let last = found.count == page ? entries.last?.id : nil
        // What was not there is others' by now, who count for themselves.
        let there = Set(entries.map(\.id))
        notes = notes.filter { $0.key <= id || $0.key > last ?? .max || there.contains($0.key) }
        machine.recovered(last: last)
        if isFirst, machine.hasRecovered { await observe(on: connection) }
    }

    /// Which of the ids are to be reclaimed: those that this consumer does not know of. What waits to be retried waits for
    /// its time, although the server's clock may have gone ahead.
    func untaken(among ids: [StreamID]) -> [StreamID] {
        let unknown = session.unknown(among: ids)
        if unknown.isEmpty { return [] }
        let retried = Set(retries.ids)
        return unknown.filter { !retried.contains($0) }
    }

    // MARK: Requests

    /// Has messages reclaimed as soon as their turn comes. Until the server has told, their counts are what they were.
    func requestReclaim(_ ids: [StreamID], _ mode: ReclaimMode, source: GroupMessage.Source) {
        if ids.isEmpty { return }
        wait(for: ids)
        if buffer.isStopping { return }
        expected += ids.count
        // What could not be read before would take its neighbours' replies along.
        let (alone, together) = (ids.filter(unreadableIDs.contains), ids.filter { !unreadableIDs.contains($0) })
        reclaims += alone.map { ReclaimRequest(ids: [$0], mode: mode, source: source) }
        for first in stride(from: 0, to: together.count, by: Self.maxTaken) {
            let part = Array(together[first..<min(first + Self.maxTaken, together.count)])
            reclaims.append(ReclaimRequest(ids: part, mode: mode, source: source))
        }
        reclaimSignal.fire()
    }

    /// Reclaims what is requested, until the task is cancelled.
    func reclaimLoop() async {
        isReclaiming = true
        defer {
            isReclaiming = false
            stopWaitingForReclaimed()
        }
        var attempt = 0
        while !buffer.isStopping, !Task.isCancelled {
            guard !reclaims.isEmpty else {
                await reclaimSignal.wait()
                continue
            }
            do throws(RedisError) {
                let connection = try await pool.lease(on: eventLoop)
                defer { pool.release(connection) }
                try await reclaimNext(on: connection)
                attempt = 0
            } catch {
                if Task.isCancelled { return }
                attempt += 1
                let delay = backoff.delay(attempt: attempt, jitter: pool.randomness(), after: error)
                logger.log(
                    level: .of(attempt: attempt),
                    "could not reclaim messages, trying again",
                    metadata: LogKey.retry(error, attempt, delay)
                )
                await eventLoop.sleep(for: delay)
            }
        }
    }

    /// Nothing is on its way, and there is no room for more than what is being reclaimed: reading goes on behind that.
    func waitForReclaimed() {
        guard isReclaiming, readsInFlight.isEmpty, readsInFlight.isRunning, !readingWaits else { return }
        readingWaits = true
        readsInFlight.began()
    }

    func stopWaitingForReclaimed() {
        guard readingWaits else { return }
        readingWaits = false
        readsInFlight.ended()
        if let connection { goOn(on: connection) }
    }

    private func reclaimNext(on connection: RedisConnection) async throws(RedisError) {
        // The group may have been recreated while a connection was made.
        guard var request = reclaims.popFirst() else { return }
        let count = request.ids.count
        defer {
            expected -= count
            stopWaitingForReclaimed()
            if let connection = self.connection { goOn(on: connection) }
        }
        let ids = session.waiting(among: request.ids)
        // Those that are another consumer's meanwhile, or deleted.
        for id in Set(request.ids).subtracting(ids) { quarantine.ended(id) }
        request.ids = ids
        deferHandled(&request)
        admitQuarantined()
        if request.ids.isEmpty { return }
        do throws(RedisError) {
            try await reclaim(request, on: connection)
        } catch {
            switch error.code {
            // Each is asked for alone now, and what was refused alone is given up or tried later.
            case .replyTooLarge: return
            case .noGroup: groupWasLost()
            case _ where error.isRetriable || error.code == .cancelled: throw error
            // Such as a missing right: what cannot be reclaimed would be claimed again and again.
            default: end(with: error)
            }
        }
    }

    /// What a handler is still at work on, although it does not own it any more, is not begun beside it.
    private func deferHandled(_ request: inout ReclaimRequest) {
        let handled = session.handled(among: request.ids)
        if handled.isEmpty { return }
        request.ids.removeAll { handled.contains($0) }
        for id in handled { quarantine.ended(id) }
        for id in handled { tryAgain(id, in: Self.timeToRetire) }
    }

    /// Has a message reclaimed after a while that is this consumer's meanwhile.
    func tryAgain(_ id: StreamID, in time: TimeAmount) {
        if !retries.add(id, due: eventLoop.now + time) { session.stopWaiting(for: [id]) }
        armRetryTimer()
    }

    /// How long to wait for a handler that was cancelled to return.
    static let timeToRetire = TimeAmount.milliseconds(100)

    // MARK: What came of them

    /// Reclaims messages that wait, and hands them over.
    private func reclaim(_ request: ReclaimRequest, on connection: RedisConnection) async throws(RedisError) {
        let epoch = epoch
        let ids = request.ids
        let sent = session.leaseTime
        session.beginLookingBack()
        defer { session.endLookingBack() }
        do throws(RedisError) {
            let call = consumer.call(.reclaim, mode: request.mode, ids: ids)
            let taken = try ReclaimedMessages(try await connection.run(call), to: call, of: consumer.stream)
            guard epoch == self.epoch else { return }
            if configuration.acknowledgement == .onDelivery, !taken.batch.isEmpty {
                // Handed out only once the server has it as acknowledged: else it could be handled twice.
                _ = try await connection.execute(consumer.xack(taken.batch.map(\.id)))
                session.observer.count { $0.acknowledged += taken.batch.count }
            }
            session.stopWaiting(for: ids)
            took(taken, of: ids, sent: sent, source: request.source)
        } catch {
            if epoch == self.epoch { couldNotReclaim(request, error) }
            throw error
        }
    }

    /// It is not known whether they were reclaimed. If they were, nobody has died of that: they are reclaimed once more,
    /// without being counted, and alone, so that it shows which of them cannot be read.
    private func couldNotReclaim(_ request: ReclaimRequest, _ error: RedisError) {
        let ids = request.ids
        for id in ids { quarantine.ended(id) }
        defer { admitQuarantined() }
        let isRefused = error.code == .replyTooLarge
        guard isRefused || (error.mayHaveExecuted && error.isRetriable) else { return session.stopWaiting(for: ids) }
        if ids.count == 1, isRefused { return couldNotRead(ids[0], because: error.message, isCertain: true) }
        if ids.count == 1, notes[ids[0]]?.wasLostAlone == true {
            let reason = "The connection ended twice while the entry was read; see client-output-buffer-limit."
            return couldNotRead(ids[0], because: reason, isCertain: false)
        }
        for id in ids {
            notes[id] = ReclaimState(source: request.source, isCounted: true, wasLostAlone: ids.count == 1)
        }
        if configuration.acknowledgement == .manual {
            for id in ids { requestReclaim([id], .known, source: request.source) }
        } else {
            quarantine.add(ids.map { .init(id: $0, count: .first) }, now: eventLoop.now)
        }
    }

    /// Hands over what was taken of `ids`, but for what is known meanwhile, and what is given up.
    private func took(
        _ taken: ReclaimedMessages,
        of ids: [StreamID],
        sent: NIODeadline,
        source: GroupMessage.Source
    ) {
        var taken = taken
        for id in Set(ids).subtracting(taken.suspects.map(\.id)) { notes[id] = nil }
        if !taken.deleted.isEmpty {
            // Redis 6.2 keeps them pending.
            session.add(.acknowledge(taken.deleted, isProven: false))
            reportDeleted(taken.deleted)
        }
        if !taken.suspects.isEmpty { quarantine(taken.suspects, source: source) }
        taken.keep(Set(session.unknown(among: taken.batch.map(\.id))))
        var given = Set<StreamID>()
        for (message, count) in zip(taken.batch, taken.counts) {
            guard let deadLetter = configuration.deadLetter, !deadLetter.isOrigin(of: message),
                let deadLetterReason = session.rules.deadLetterReason(on: count)
            else {
                given.insert(message.id)
                continue
            }
            session.add(.publish(deadLetter.publication(of: message, group: consumer.group, deadLetterReason: deadLetterReason)))
        }
        if given.count < taken.batch.count { taken.keep(given) }
        session.observer.count { $0.redelivered += taken.batch.count }
        let quarantined = ids.filter(quarantine.isAdmitted)
        for id in quarantined where !given.contains(id) { quarantine.ended(id) }
        for id in quarantined where given.contains(id) {
            var one = taken
            one.keep([id])
            deliver(one.batch, counts: one.counts, source: source, leaseStart: sent, isQuarantined: true)
        }
        if !quarantined.isEmpty { taken.keep(given.subtracting(quarantined)) }
        deliver(taken.batch, counts: taken.counts, source: source, leaseStart: sent)
        admitQuarantined()
    }

    // MARK: Quarantine

    /// A process may have crashed on these: they are handled apart from each other, so that they take nothing along that is
    /// not to blame. Where the user says when a message is settled, that could take for ever.
    private func quarantine(_ candidates: [Quarantine.Candidate], source: GroupMessage.Source) {
        let ids = candidates.map(\.id)
        if configuration.acknowledgement == .manual { return requestReclaim(ids, .exclusive, source: source) }
        for id in ids { notes[id, default: ReclaimState()].source = source }
        wait(for: ids)
        quarantine.add(candidates, now: eventLoop.now)
        logger.info(
            "a process may have crashed on these messages: they are handled apart from each other",
            metadata: [LogKey.count: "\(ids.count)"]
        )
    }

    /// Reclaims what there are handler slots for.
    func admitQuarantined() {
        while !buffer.isStopping, let admission = quarantine.admit() {
            for (note, ids) in Dictionary(grouping: admission.ids, by: { notes[$0] ?? ReclaimState() }) {
                guard note.isCounted else {
                    requestReclaim(ids.sorted(), admission.mode, source: note.source)
                    continue
                }
                // One of them may be what the reply was lost for.
                for id in ids.sorted() { requestReclaim([id], .known, source: note.source) }
            }
        }
    }

    /// Quarantined messages were settled, or lost: their slots are free.
    func quarantineEnded(_ ids: [StreamID]) {
        for id in ids { quarantine.ended(id) }
        admitQuarantined()
    }

    /// Gives back what waits in quarantine for longer than a third of the lease: another consumer may have a free handler.
    func requeueOverdueQuarantined() {
        guard let lease = configuration.lease.map({ TimeAmount($0) }) else { return }
        let now = eventLoop.now
        let overdue = quarantine.removeWaiting(since: now - .nanoseconds(lease.nanoseconds / 3))
        if overdue.isEmpty { return }
        let ids = overdue.map(\.id)
        // Of those whose counts are not known it has to be waited until they can be claimed.
        let known = overdue.filter { notes[$0.id]?.isCounted != true }
        for id in ids { notes[id] = nil }
        session.stopWaiting(for: ids)
        session.add(.requeue(known.map { Requeue(id: $0.id, count: $0.count, due: nil) }))
        letOthersClaim()
        logger.info("gave back quarantined messages, no handler was free", metadata: [LogKey.count: "\(ids.count)"])
    }

    // MARK: Retries

    /// Messages were set requeue, to be handled again.
    func schedule(_ requeues: [Requeue]) {
        let horizon = configuration.lease.map { eventLoop.now + TimeAmount($0) }
        for requeue in requeues {
            guard let due = requeue.due else { continue }
            if let horizon, due > horizon {
                parked[requeue.id] = requeue
                wait(for: [requeue.id])
            } else {
                retries.add(requeue.id, due: due)
            }
        }
        armRetryTimer()
    }

    private func armRetryTimer() {
        retryTimer?.cancel()
        retryTimer = nil
        guard let next = retries.next, !buffer.isStopping else { return }
        retryTimer = eventLoop.scheduleTask(deadline: next) { self.assumeIsolated { $0.retryDue() } }
    }

    /// In turn with new messages: on a backlog these would take all the room there ever is, and what fails again and again
    /// must not take it all either.
    func reclaimDue(besides arrived: Int = 0) {
        guard let next = retries.next, next <= eventLoop.now, !buffer.isStopping else { return }
        // A read that waits on the server for messages that are not there takes no room.
        let room = buffer.room(besides: arrived + expected - expectedByWaitingRead)
        if room == 0 { return }
        let due = retries.takeDue(now: eventLoop.now, atMost: min(Self.maxTaken, max(1, room / 2)))
        readIsNext = true
        requestReclaim(due, .fair, source: .retried)
    }

    private func retryDue() {
        retryTimer = nil
        if buffer.isStopping { return }
        reclaimDue()
        if retries.next.map({ $0 > eventLoop.now }) ?? true { return armRetryTimer() }
        retryTimer = eventLoop.scheduleTask(in: .milliseconds(50)) { self.assumeIsolated { $0.retryDue() } }
    }

    /// What is parked and due within a lease is set requeue again, with the time that is left.
    func requeueDeferred() {
        guard let lease = configuration.lease else { return }
        let horizon = eventLoop.now + TimeAmount(lease)
        let near = parked.values.filter { $0.due.map { $0 <= horizon } ?? true }.sorted { $0.id < $1.id }
        if near.isEmpty { return }
        for requeue in near { parked[requeue.id] = nil }
        session.stopWaiting(for: near.map(\.id))
        session.add(.requeue(near))
    }
}
