internal import NIOCore

/// The one place that changes the state of an entry: the messages of one stream that this consumer holds, and the
/// outcomes that the server does not have yet. Free of I/O and clocks; its owner guards it with a lock.
///
/// The key is the group's epoch and the id: when the group is lost, the table forgets everything, since an id may
/// belong to another entry from then on. `EntryState` documents the states and their successors. Held messages are
/// flags in their batches, and outcomes are in the `Outbox`, so that a new message that is handled and acknowledged
/// costs no hash; a dictionary has all other states.
struct PendingTable: ~Copyable {
    var leasePolicy: LeasePolicy
    /// What was acknowledged lately, for the case that a failover takes it back.
    var acknowledged = AcknowledgedIDs()
    /// Counts how often the group was lost.
    private(set) var epoch = 0
    /// Whether the owner of the handlers, a run or a loop, has finished: it handles no more messages.
    private(set) var isFinished = false
    private var held = HeldBatches()
    private var outbox = Outbox()
    private var entries: [StreamID: Entry] = [:]
    private var schedule = RetrySchedule()
    private var quarantine: Quarantine
    /// How many replies are in flight that may show messages as pending that are settled meanwhile.
    private var inspectionsInFlight = 0
    /// Whether there may be entries that are *acknowledged*.
    private var mayHaveAcknowledged = false
    private var hasFreedSlot = false
    /// Called with each change of a state; `nil` for an id that leaves the table. For tests and the simulation.
    private let onChange: (@Sendable (StreamID, EntryState?) -> Void)?
    /// Whether there is such a closure. Comparing the closure itself with `nil` costs reference counting for each message.
    private let reportsChanges: Bool

    /// - Parameter concurrency: How many messages the consumer handles at a time.
    init(
        _ leasePolicy: LeasePolicy = LeasePolicy(),
        concurrency: Int = 1,
        onChange: (@Sendable (StreamID, EntryState?) -> Void)? = nil
    ) {
        self.leasePolicy = leasePolicy
        self.onChange = onChange
        reportsChanges = onChange != nil
        quarantine = Quarantine(concurrency: concurrency)
    }

    // MARK: States

    /// The state of an id; `nil` if it is unknown.
    func state(of id: StreamID) -> EntryState? {
        if held.contains(id) { return .held }
        return outbox.state(of: id) ?? entries[id]?.state
    }

    /// Every id, once for each place that has it. A test checks that there is only one.
    var places: [StreamID] { held.batches.flatMap(\.heldIDs) + outbox.ids + entries.keys }

    /// Those of the ids that are new here: in no state, or *orphaned*.
    func unknown(among ids: [StreamID]) -> [StreamID] {
        if ids.isEmpty { return [] }
        let settling = Set(outbox.ids)
        return ids.filter { id in
            switch entries[id] {
            case nil, .orphaned: !settling.contains(id) && !held.contains(id)
            default: false
            }
        }
    }

    /// Whether messages are held, or outcomes are queued.
    var hasUnsettled: Bool { held.count > 0 || outbox.hasQueued }

    var isHolding: Bool { held.count > 0 }

    /// Whether there are ids without a held message whose leases the consumer renews.
    var hasUnheld: Bool { entries.values.contains(where: \.keepsLease) }

    /// Checks the precondition of a transition: each is a fault of this library, which tests and the simulation find.
    private func require(_ id: StreamID, _ allowed: EntryState?...) {
        assert(allowed.contains(state(of: id)), "\(id) is \(state(of: id).map { "\($0)" } ?? "unknown")")
    }

    @inline(__always)
    private func changed(_ id: StreamID, _ state: EntryState?) {
        if reportsChanges { onChange?(id, state) }
    }

    private mutating func set(_ id: StreamID, _ entry: Entry) {
        entries[id] = entry
        changed(id, entry.state)
    }

    private mutating func remove(_ id: StreamID) {
        if entries.removeValue(forKey: id) != nil { changed(id, nil) }
    }

    // MARK: held

    /// A batch of new or reclaimed messages has arrived: unknown or *reclaiming* → *held*. The server gives an id as new
    /// once in an epoch, so that the table does not search for new messages.
    mutating func hold(_ batch: DeliveredBatch) {
        if batch.source != .new {
            for id in batch.heldIDs {
                require(id, nil, .reclaiming)
                entries[id] = nil
            }
        }
        held.hold(batch)
        if reportsChanges { for id in batch.heldIDs { changed(id, .held) } }
    }

    /// A message was handled: *held* → *acknowledging*. Returns `false` if it is not held: then nothing changes.
    mutating func acknowledge(_ batch: DeliveredBatch, _ position: Int) -> Bool {
        guard removeHeld(batch, position) else { return false }
        let id = batch.id(at: position)
        outbox.acknowledge(id, leaseStart: batch.leaseStart)
        changed(id, .acknowledging)
        return true
    }

    /// A message is delivered again later: *held* → *requeueing*. Returns `false` if it is not held.
    mutating func requeue(_ batch: DeliveredBatch, _ position: Int, _ requeue: Requeue) -> Bool {
        guard removeHeld(batch, position) else { return false }
        outbox.requeue(requeue)
        changed(requeue.id, .requeueing)
        return true
    }

    /// A message is acknowledged in the step that adds entries: *held* → *publishing*. Returns `false` if it is not held.
    mutating func publish(_ batch: DeliveredBatch, _ position: Int, _ publication: Publication) -> Bool {
        guard removeHeld(batch, position) else { return false }
        outbox.publish(publication)
        changed(publication.id, .publishing)
        return true
    }

    /// A message stays pending on the server, and this consumer forgets it: *held* → unknown.
    mutating func disown(_ batch: DeliveredBatch, _ position: Int) {
        if removeHeld(batch, position) { endedUnsettled(batch, position, nil) }
    }

    /// A command outside of the outbox has acknowledged the message: *held* → *acknowledged*, or unknown.
    mutating func acknowledgedElsewhere(_ batch: DeliveredBatch, _ position: Int) {
        let wasHeld = removeHeld(batch, position)
        let id = batch.id(at: position)
        if inspectionsInFlight > 0, state(of: id) == nil { keepAsAcknowledged(id) }
        if wasHeld { endedUnsettled(batch, position, entries[id]?.state) }
    }

    /// Removes a held message. If the consumer has ended, the message was *abandoned* until its late handler decided.
    private mutating func removeHeld(_ batch: DeliveredBatch, _ position: Int) -> Bool {
        guard held.remove(batch, position) else { return false }
        if isFinished { entries[batch.id(at: position)] = nil }
        return true
    }

    private mutating func endedUnsettled(_ batch: DeliveredBatch, _ position: Int, _ state: EntryState?) {
        let id = batch.id(at: position)
        if batch.isQuarantined { endQuarantine(of: id) }
        changed(id, state)
    }

    // MARK: Sending outcomes

    /// Whether there is something to send.
    var hasQueued: Bool { outbox.hasQueued }

    /// Whether there is something to send that is not held back.
    var hasSendable: Bool { outbox.hasSendable }

    var heldBackCount: Int { outbox.heldBackCount }

    var isSending: Bool { outbox.isSending }

    /// Takes out what to send next; `nil` if there is nothing.
    mutating func nextSettlement(atMost limit: Int, now: NIODeadline, _ reach: Outbox.Reach = .all) -> SentSettlement? {
        outbox.next(atMost: limit, now: now, epoch: epoch, leasePolicy, reach)
    }

    /// Whether a settlement belongs to the current epoch of the group.
    func isCurrent(_ sent: SentSettlement) -> Bool { sent.epoch == epoch }

    /// The server has executed a settlement, or never will: *acknowledging* and *publishing* → *acknowledged* or
    /// unknown; *requeueing* → *scheduled*, *deferred*, *returned* or unknown.
    ///
    /// - Parameters:
    ///   - requeueing: What the server did with requeued messages; `nil` if it requeued none.
    mutating func confirm(_ sent: SentSettlement, requeueing: RequeueOutcome? = nil) {
        guard isCurrent(sent), let settlement = outbox.end(sent.number) else { return }
        for id in settlement.ids { endQuarantine(of: id) }
        if case .requeue(let requeues) = settlement, let requeueing {
            for requeue in requeues { requeued(requeue, requeueing) }
            return
        }
        for id in settlement.ids {
            if inspectionsInFlight > 0 { keepAsAcknowledged(id) } else { changed(id, nil) }
        }
    }

    private mutating func requeued(_ requeue: Requeue, _ outcome: RequeueOutcome) {
        let id = requeue.id
        let isOwned = !outcome.others.contains(id)
        if isOwned, outcome.isEnding { return set(id, .returned) }
        if isOwned, let due = requeue.due {
            if let horizon = outcome.horizon, due > horizon { return set(id, .deferred(requeue)) }
            if schedule.add(id, due: due) { return set(id, .scheduled(due: due, keepsLease: false, reclaim: nil)) }
            // The schedule is full: the claim scan finds the message once it has been idle for a lease.
        }
        if inspectionsInFlight > 0 { keepAsAcknowledged(id) } else { changed(id, nil) }
    }

    /// The reply to a settlement was lost: it is queued again.
    mutating func restore(_ sent: SentSettlement) {
        if isCurrent(sent) { outbox.restore(sent.number) }
    }

    /// The ids of all outcomes that the server has not confirmed, in ascending order.
    var unsettledIDs: [StreamID] { Set(outbox.ids).sorted() }

    // MARK: acknowledged

    /// The consumer sends a command whose reply shows pending messages. The server may execute it before a settlement,
    /// and the reply to that settlement may arrive first, on another connection.
    mutating func beginInspecting() { inspectionsInFlight += 1 }

    /// The consumer has compared the reply with the table.
    mutating func endInspecting() {
        inspectionsInFlight -= 1
        guard inspectionsInFlight == 0, mayHaveAcknowledged else { return }
        for (id, entry) in entries where entry.state == .acknowledged { remove(id) }
        mayHaveAcknowledged = false
    }

    private mutating func keepAsAcknowledged(_ id: StreamID) {
        mayHaveAcknowledged = true
        set(id, .acknowledged)
    }

    // MARK: reclaiming

    /// The consumer is about to fetch the bodies of messages: unknown, *orphaned* or *quarantined* → *reclaiming*.
    /// What is *reclaiming* stays so, for another request.
    mutating func beginReclaiming(_ ids: [StreamID], source: GroupMessage.Source) {
        for id in ids {
            require(id, nil, .orphaned, .quarantined, .reclaiming)
            set(id, .reclaiming(entries[id]?.reclaim ?? ReclaimState(source: source)))
        }
    }

    /// Those of the ids that are still *reclaiming*: the others were lost or deleted meanwhile.
    func reclaiming(among ids: [StreamID]) -> [StreamID] {
        ids.filter { entries[$0]?.state == .reclaiming }
    }

    func reclaimState(of id: StreamID) -> ReclaimState? { entries[id]?.reclaim }

    /// The server's reply shows that this consumer does not own the messages: *reclaiming* → unknown.
    mutating func endReclaiming(_ ids: some Sequence<StreamID>) {
        for id in ids where entries[id]?.state == .reclaiming {
            endQuarantine(of: id)
            remove(id)
        }
    }

    /// The reply to a reclaim was lost: the server may have counted a delivery of these messages. They stay
    /// *reclaiming*. Returns those that were not lost or deleted meanwhile.
    mutating func replyWasLost(_ ids: [StreamID], source: GroupMessage.Source) -> [StreamID] {
        let unsure = reclaiming(among: ids)
        let state = ReclaimState(source: source, isCounted: true, wasLostAlone: ids.count == 1)
        for id in unsure { set(id, .reclaiming(state)) }
        return unsure
    }

    /// The consumer does not reclaim these messages for now: *reclaiming* → *orphaned*, or unknown if the server cannot
    /// have counted a delivery.
    mutating func abandonReclaiming(_ ids: [StreamID]) {
        for id in ids {
            guard case .reclaiming(let reclaim) = entries[id] else { continue }
            endQuarantine(of: id)
            if reclaim.isCounted { set(id, .orphaned(reclaim)) } else { remove(id) }
        }
    }

    /// Forgets orphans in a range of ids if the own pending list does not contain them: another consumer owns them.
    mutating func forgetOrphans(after first: StreamID, upTo last: StreamID, except shown: Set<StreamID>) {
        for (id, entry) in entries where id > first && id <= last && !shown.contains(id) {
            if case .orphaned = entry { remove(id) }
        }
    }

    /// Messages that are not held have an outcome: → *acknowledging*, *requeueing* or *publishing*, from *reclaiming*
    /// (deleted, unreadable, dead-lettered), unknown (returned without having been held, or refused by the server after
    /// they were *publishing*; then they may be *acknowledged*), *deferred* or *quarantined*.
    mutating func settle(_ settlement: Settlement) {
        for id in settlement.ids {
            require(id, .reclaiming, nil, .acknowledged, .deferred, .quarantined)
            // Nothing runs that could crash.
            if entries[id]?.state == .reclaiming { endQuarantine(of: id) }
            entries[id] = nil
        }
        switch settlement {
        case .acknowledge(let ids, _): for id in ids { outbox.acknowledge(id, leaseStart: nil) }
        case .requeue(let requeues): for requeue in requeues { outbox.requeue(requeue) }
        case .publish(let publication): outbox.publish(publication)
        }
        if reportsChanges { for id in settlement.ids { changed(id, outbox.state(of: id)) } }
    }

    // MARK: quarantined

    /// A process may have crashed on these messages: *reclaiming* → *quarantined*. `source` is how they came to this
    /// consumer.
    mutating func quarantine(_ candidates: [Quarantine.Candidate], source: GroupMessage.Source, now: NIODeadline) {
        // A renewal may have lost some of them meanwhile.
        let candidates = candidates.filter { entries[$0.id]?.state == .reclaiming }
        for candidate in candidates {
            endQuarantine(of: candidate.id)
            var reclaim = entries[candidate.id]?.reclaim ?? ReclaimState()
            reclaim.source = source
            set(candidate.id, .quarantined(reclaim))
        }
        quarantine.add(candidates, now: now)
    }

    /// The messages that free slots are for, with their reclaim states; `nil` if there is no free slot or nothing
    /// waits. They stay *quarantined* until `beginReclaiming`.
    mutating func admitQuarantined() -> (mode: ReclaimMode, messages: [(id: StreamID, state: ReclaimState)])? {
        guard let admission = quarantine.admit() else { return nil }
        return (admission.mode, admission.ids.sorted().map { ($0, entries[$0]?.reclaim ?? ReclaimState()) })
    }

    /// Frees the slot of a message that stays *reclaiming*.
    mutating func endSlot(of id: StreamID) { endQuarantine(of: id) }

    /// Whether the message occupies a slot.
    func isAdmitted(_ id: StreamID) -> Bool { quarantine.isAdmitted(id) }

    /// Messages that have waited in quarantine since `time` or for longer: *quarantined* → *requeueing*, or unknown
    /// where the delivery count is not known. Returns how many there were.
    mutating func requeueQuarantined(waitingSince time: NIODeadline) -> Int {
        let overdue = quarantine.removeWaiting(since: time)
        for candidate in overdue {
            if entries[candidate.id]?.reclaim?.isCounted == true {
                remove(candidate.id)
                continue
            }
            settle(.requeue([Requeue(id: candidate.id, count: candidate.count, due: nil)]))
        }
        return overdue.count
    }

    private mutating func endQuarantine(of id: StreamID) {
        if quarantine.ended(id) { hasFreedSlot = true }
    }

    /// Whether a slot of the quarantine was freed since the last call.
    mutating func takeFreedSlot() -> Bool {
        defer { hasFreedSlot = false }
        return hasFreedSlot
    }

    // MARK: scheduled and deferred

    /// When the next scheduled message is due.
    var nextDue: NIODeadline? { schedule.next }

    /// Takes out the messages that are due, `limit` at most, in ascending order: *scheduled* → *reclaiming*.
    mutating func reclaimDue(now: NIODeadline, atMost limit: Int) -> [StreamID] {
        // The schedule may still have an earlier time of a message that was lost and scheduled again.
        let ids = schedule.takeDue(now: now, atMost: limit).filter { id in
            if case .scheduled(let due, _, _) = entries[id] { due <= now } else { false }
        }
        for id in ids { set(id, .reclaiming(entries[id]?.reclaim ?? ReclaimState(source: .retried))) }
        return ids
    }

    /// The consumer reclaims a message later, and renews its lease until then: *reclaiming* → *scheduled*, or unknown
    /// if the schedule is full.
    mutating func postpone(_ id: StreamID, until due: NIODeadline) {
        require(id, .reclaiming)
        endQuarantine(of: id)
        let reclaim = entries[id]?.reclaim
        guard schedule.add(id, due: due) else { return remove(id) }
        set(id, .scheduled(due: due, keepsLease: true, reclaim: reclaim))
    }

    /// Messages that are due before `horizon`: *deferred* → *requeueing*, with the time that is left. Returns whether
    /// there were any.
    mutating func requeueDeferred(dueBefore horizon: NIODeadline) -> Bool {
        var near: [Requeue] = []
        for case .deferred(let requeue) in entries.values where requeue.due.map({ $0 <= horizon }) ?? true {
            near.append(requeue)
        }
        if near.isEmpty { return false }
        settle(.requeue(near.sorted { $0.id < $1.id }))
        return true
    }

    // MARK: Leases

    /// The batches whose leases started at `time` or before, each with its held ids.
    func leases(startedBefore time: NIODeadline) -> [(DeliveredBatch, [StreamID])] {
        held.batches.filter { $0.leaseStart <= time }.map { ($0, $0.heldIDs) }
    }

    /// The ids without a held message whose leases the consumer renews, in ascending order.
    var unheldIDs: [StreamID] {
        var ids = Set(entries.lazy.filter { $0.value.keepsLease }.map(\.key))
        ids.formUnion(outbox.publicationIDs)
        return ids.sorted()
    }

    /// Another consumer owns these messages, or may own them: they become unknown, except for outcomes that are queued
    /// or sent, which the server refuses. Returns the positions of those that were *held*.
    mutating func lose(_ ids: [StreamID]) -> [HeldPosition] {
        let lost = held.lose(ids)
        forget(ids)
        return lost
    }

    /// The entries are deleted: as `lose`, but the handlers of these messages go on.
    mutating func delete(_ ids: [StreamID]) {
        _ = held.remove(ids)
        forget(ids)
    }

    private mutating func forget(_ ids: [StreamID]) {
        if quarantine.remove(ids) { hasFreedSlot = true }
        for id in ids {
            entries[id] = nil
            // An outcome that is decided stays queued.
            if reportsChanges { changed(id, outbox.state(of: id)) }
        }
    }

    /// The group was lost: its messages cannot be settled in the new group, and must not hide messages that the new
    /// group delivers. Returns the positions of those that were *held*.
    mutating func beginEpoch() -> [HeldPosition] {
        epoch += 1
        let lost = held.loseAll()
        if reportsChanges { for id in Set(lost.map(\.id) + outbox.ids + entries.keys) { changed(id, nil) } }
        outbox.removeAll()
        entries = [:]
        mayHaveAcknowledged = false
        acknowledged = AcknowledgedIDs()
        schedule = RetrySchedule()
        quarantine.removeAll()
        return lost
    }

    // MARK: The end

    /// The owner of the handlers has finished. No handler got the messages of `rest`: with `returnsRest` they become
    /// *requeueing*. All others that are held become *abandoned*. Returns `false` if that has happened before.
    mutating func finish(rest: [GroupMessage], returnsRest: Bool) -> Bool {
        if isFinished { return false }
        for message in rest where returnsRest {
            let requeue = Requeue(returning: message.id, message.deliveryCount)
            _ = self.requeue(message.batch, message.position, requeue)
        }
        isFinished = true
        for id in held.batches.flatMap(\.heldIDs) { set(id, .abandoned) }
        held.finish()
        return true
    }

    /// Messages that arrived in the buffer after it was emptied for `finish`: *abandoned* → *requeueing*.
    mutating func returnLate(_ messages: [GroupMessage]) -> Bool {
        var hasReturned = false
        for message in messages {
            let requeue = Requeue(returning: message.id, message.deliveryCount)
            if self.requeue(message.batch, message.position, requeue) { hasReturned = true }
        }
        return hasReturned
    }

    /// A batch that arrived after the owner of the handlers had finished: unknown → *requeueing*.
    mutating func returnAll(_ batch: DeliveredBatch) {
        settle(.requeue(batch.isHeld.indices.map { Requeue(returning: batch.id(at: $0), batch.count(at: $0)) }))
    }

    /// At its end, the consumer returns what is pending for it on the server, except for messages that a handler may
    /// still have, that have an outcome, that were returned, or whose time of redelivery the server has. Returns a
    /// requeue for each of the others.
    func handover(of entries: [PendingEntry], hasRecovered: Bool) -> [Requeue] {
        let settling = Set(outbox.ids)
        return entries.compactMap { pending in
            if settling.contains(pending.id) { return nil }
            let count = DeliveryCount(pending.deliveryCount)
            switch self.entries[pending.id] {
            case .abandoned, .returned, .scheduled: return nil
            case .deferred(let requeue): return Requeue(id: pending.id, count: count, due: requeue.due)
            // A process may have crashed on messages that were not reclaimed yet: they keep their counts.
            case .reclaiming, .quarantined: return Requeue(id: pending.id, count: count, due: nil)
            default: return Requeue(id: pending.id, count: hasRecovered ? count.returned : count, due: nil)
            }
        }
    }

    /// Whether a handler may still run on a message.
    var hasAbandoned: Bool { entries.values.contains { $0.state == .abandoned } }
}
