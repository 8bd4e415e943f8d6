internal import DequeModule
internal import NIOCore

/// What this consumer holds, and what it has still to settle with the server. Free of I/O; guarded by its owner.
///
/// An id is, in this order: *held*, from its arrival until its disposition is decided; *due*, until that is sent; *sent*, until
/// the reply is there. A reply that is lost makes it due again. *Waiting* are ids without their messages: what is handled
/// again after more than a lease, and what is to be handled alone. Whatever the server delivers meanwhile with an id that
/// is one of these is a repetition, and is left out.
struct SettlementLedger: ~Copyable {
    /// By what it is known that a message is this consumer's.
    struct LeasePolicy: Sendable {
        /// After this time without being renewed, others may claim a message; `nil` for never.
        var lease: TimeAmount?
        /// For how long after it was given, or renewed, a message is this consumer's beyond doubt; `nil` for ever.
        var fencingTime: TimeAmount?

        /// Until when a message is this consumer's beyond doubt, if that which gave it was sent at this time.
        func fencingDeadline(_ leaseStart: NIODeadline?) -> NIODeadline {
            guard let fencingTime else { return .distantFuture }
            return leaseStart.map { $0 + fencingTime } ?? .uptimeNanoseconds(0)
        }
    }

    private struct Due {
        let id: StreamID
        /// When that was sent which proves that the message is this consumer's; `nil` if nothing does.
        let leaseStart: NIODeadline?
    }

    let leasePolicy: LeasePolicy
    private(set) var held = HeldBatches()
    private var due: [Due] = []
    private var requeues: [Requeue] = []
    private var publications: Deque<Publication> = []
    /// Whether one was refused, or its reply lost: the others wait until one has gone through.
    private var holdsBack = false
    private var sent: [Int: Settlement] = [:]
    private var lastNumber = 0
    /// The first settlement of the group as it is now: those before were of one that was lost.
    private var firstNumber = 1
    /// Quarantined messages whose outcomes are decided, and that the server may not have.
    private var settlingQuarantined: Set<StreamID> = []
    private var settledQuarantined: [StreamID] = []
    /// Ids without their messages, whose leases are renewed too.
    private(set) var waiting: Set<StreamID> = []
    /// How many replies are to come that may bring what is pending.
    private var looksBack = 0
    /// What was settled while the server may have looked already.
    private var confirmed: Set<StreamID> = []

    init(_ leasePolicy: LeasePolicy = LeasePolicy()) {
        self.leasePolicy = leasePolicy
    }

    /// Whether there is something to send.
    var hasDue: Bool { hasUsual || !publications.isEmpty }

    /// Whether there is something to send that is not held back.
    var hasUsual: Bool { !due.isEmpty || !requeues.isEmpty || (!publications.isEmpty && !holdsBack) }

    /// How many publications are held back.
    var heldBackCount: Int { holdsBack ? publications.count : 0 }

    /// Whether something was sent whose reply is not there.
    var isSending: Bool { !sent.isEmpty }

    // MARK: What comes

    /// A batch has arrived.
    mutating func hold(_ batch: DeliveredBatch) { held.hold(batch) }

    /// Nothing is held any more: what is open stays pending on the server.
    mutating func releaseAll() { held.removeAll() }

    /// Ids whose messages are not here are this consumer's all the same.
    mutating func wait(for ids: some Sequence<StreamID>) { waiting.formUnion(ids) }

    mutating func stopWaiting(for ids: some Sequence<StreamID>) { waiting.subtract(ids) }

    /// Something is sent that may bring what is pending. The server may see it before a settlement that overtakes its
    /// reply, on another connection.
    mutating func beginLookingBack() { looksBack += 1 }

    mutating func endLookingBack() {
        looksBack -= 1
        if looksBack == 0 { confirmed = [] }
    }

    /// Which of the ids are not held, nor on their way to be settled, nor waiting.
    func unknown(among ids: [StreamID]) -> [StreamID] {
        if ids.isEmpty { return [] }
        let settled = unsettled
        return ids.filter { !settled.contains($0) && !waiting.contains($0) && !held.contains($0) }
    }

    /// Everything whose disposition is decided, while the server may not know of it.
    private var unsettled: Set<StreamID> { confirmed.union(unsettledIDs) }

    /// What is decided, and not known to be done by the server.
    var unsettledIDs: [StreamID] {
        var ids: Set<StreamID> = []
        for due in due { ids.insert(due.id) }
        for requeue in requeues { ids.insert(requeue.id) }
        for publication in publications { ids.insert(publication.id) }
        for (number, settlement) in sent where isCurrent(number) { ids.formUnion(settlement.ids) }
        return ids.sorted()
    }

    // MARK: What is decided

    /// A message has been handled. Returns whether it was open, and so is due now.
    mutating func settle(_ batch: DeliveredBatch, _ position: Int) -> Bool {
        guard held.close(batch, position) else { return false }
        due.append(Due(id: batch.id(at: position), leaseStart: batch.leaseStart))
        isSettling(batch, position)
        return true
    }

    /// A message is to be delivered again.
    mutating func requeue(_ batch: DeliveredBatch, _ position: Int, _ requeue: Requeue) -> Bool {
        guard held.close(batch, position) else { return false }
        requeues.append(requeue)
        isSettling(batch, position)
        return true
    }

    /// A message has been handled, and entries come of it.
    mutating func publish(_ batch: DeliveredBatch, _ position: Int, _ publication: Publication) -> Bool {
        guard held.close(batch, position) else { return false }
        publications.append(publication)
        isSettling(batch, position)
        return true
    }

    /// A message has not been handled: it stays pending on the server, and may be delivered again.
    mutating func release(_ batch: DeliveredBatch, _ position: Int) { _ = held.close(batch, position) }

    /// A message has been acknowledged by somebody else who has it.
    mutating func acknowledged(_ batch: DeliveredBatch, _ position: Int) {
        _ = held.close(batch, position)
        if looksBack > 0 { confirmed.insert(batch.id(at: position)) }
    }

    /// Messages are others' now. Returns where those of them stand that were open.
    mutating func lose(_ ids: [StreamID]) -> [HeldPosition] {
        waiting.subtract(ids)
        return held.lose(ids)
    }

    private mutating func isSettling(_ batch: DeliveredBatch, _ position: Int) {
        if batch.isQuarantined { settlingQuarantined.insert(batch.id(at: position)) }
    }

    /// Takes out the quarantined messages whose handling has ended, with the server's word: if the process dies before that,
    /// the message counts as one that it may have died of.
    mutating func takeEndedQuarantined() -> [StreamID] {
        let ended = held.takeEndedQuarantined()
        if ended.isEmpty, settledQuarantined.isEmpty { return [] }
        defer { settledQuarantined = [] }
        return ended.filter { !settlingQuarantined.contains($0) } + settledQuarantined
    }

    private mutating func hasSettled(_ settlement: Settlement) {
        if settlingQuarantined.isEmpty { return }
        for id in settlement.ids where settlingQuarantined.remove(id) != nil { settledQuarantined.append(id) }
    }

    /// Messages are of no account any more.
    mutating func forget(_ ids: [StreamID]) {
        waiting.subtract(ids)
        held.close(ids)
    }

    /// What was never held is to be settled: ids of deleted entries, for example.
    mutating func add(_ settlement: Settlement) {
        switch settlement {
        case .acknowledge(let ids, _): for id in ids { due.append(Due(id: id, leaseStart: nil)) }
        case .requeue(let entries): requeues.append(contentsOf: entries)
        case .publish(let publication): publications.append(publication)
        }
    }

    // MARK: What is sent

    /// The most messages that are set requeue in one step: the server does nothing else meanwhile.
    private static let maxRequeues = 200

    /// Which settlements may be sent.
    enum Reach {
        /// What needs no script.
        case proven
        /// What is not held back.
        case usual
        /// Everything.
        case all
    }

    /// What to send now; what was decided first comes first. `nil` if there is nothing.
    mutating func takeDue(atMost limit: Int, now: NIODeadline, _ reach: Reach = .all) -> SentSettlement? {
        let leasePolicy = leasePolicy
        let fencingDeadline = due.prefix(limit).lazy.map { leasePolicy.fencingDeadline($0.leaseStart) }.min() ?? .distantFuture
        let isProven = fencingDeadline > now
        switch reach {
        case .proven: if due.isEmpty || !isProven { return nil }
        case .usual: if !hasUsual { return nil }
        case .all: break
        }
        guard let settlement = nextDue(atMost: limit, isProven: isProven) else { return nil }
        lastNumber += 1
        sent[lastNumber] = settlement
        return SentSettlement(number: lastNumber, settlement: settlement, fencingDeadline: fencingDeadline)
    }

    private mutating func nextDue(atMost limit: Int, isProven: Bool) -> Settlement? {
        if !due.isEmpty {
            let ids = due.prefix(limit).map(\.id)
            if ids.count == due.count { due.removeAll(keepingCapacity: true) } else { due.removeFirst(ids.count) }
            return .acknowledge(ids, isProven: isProven)
        }
        if !requeues.isEmpty {
            let taken = Array(requeues.prefix(Self.maxRequeues))
            requeues.removeFirst(taken.count)
            return .requeue(taken)
        }
        return publications.popFirst().map { .publish($0) }
    }

    /// The server has done it.
    mutating func confirm(_ number: Int) {
        guard let settlement = sent.removeValue(forKey: number) else { return }
        if case .publish = settlement { holdsBack = false }
        hasSettled(settlement)
        if looksBack > 0, isCurrent(number) { confirmed.formUnion(settlement.ids) }
    }

    /// Whether a settlement is of the group as it is now.
    func isCurrent(_ number: Int) -> Bool { number >= firstNumber }

    /// It is not known whether the server has done it: it is sent again, which does no harm.
    mutating func restore(_ number: Int) {
        guard let settlement = sent.removeValue(forKey: number), isCurrent(number) else { return }
        switch settlement {
        case .acknowledge(let ids, _): due.insert(contentsOf: ids.map { Due(id: $0, leaseStart: nil) }, at: 0)
        case .requeue(let entries): requeues.insert(contentsOf: entries, at: 0)
        case .publish(var publication):
            publication.mayBeDone = true
            publications.prepend(publication)
            holdsBack = true
        }
    }

    /// The group was lost. What was held, due or waiting was pending in it, and an id of it may be that of another entry
    /// now: nothing of it is settled in the new group, nor does it hide what that delivers. Returns what was held.
    mutating func beginEpoch() -> [HeldPosition] {
        due = []
        requeues = []
        publications = []
        holdsBack = false
        waiting = []
        confirmed = []
        settlingQuarantined = []
        settledQuarantined = []
        firstNumber = lastNumber + 1
        return held.loseAll()
    }

    // MARK: Leases

    /// The batches whose leases are older than this.
    func batches(leaseStartedBefore time: NIODeadline) -> [DeliveredBatch] {
        held.batches.filter { $0.leaseStart <= time }
    }

    /// Ids without an open message that are this consumer's all the same.
    var unheldIDs: [StreamID] { waiting.union(publications.map(\.id)).sorted() }

    /// The ids of a batch that are open.
    func openIDs(of batch: DeliveredBatch) -> [StreamID] {
        batch.isOpen.indices.filter { batch.isOpen[$0] }.map { batch.id(at: $0) }
    }
}
