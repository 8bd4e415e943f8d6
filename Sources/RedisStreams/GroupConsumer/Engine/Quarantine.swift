internal import NIOCore

/// Messages that a process may have crashed on, and which of them are handled now. Free of I/O and clocks.
///
/// - `waiting`: known by id only, in the order of their crashes. Goes to `admitted`, or leaves when the message is requeued,
///   or owned by another consumer.
/// - `admitted`: to be reclaimed and handled. Leaves when it is settled.
///
/// The rest of the consumer goes on beside them: a quarantined message uses handler slots, not the whole consumer. Messages
/// that had one crash run in *company*, in up to half of the slots, since most of them are innocent: whatever process dies
/// leaves many, of which at most one is to blame. What had more crashes, company included, runs *exclusively*: no other
/// quarantined message runs beside it. So each crash that counts against a message was caused by another killer than the
/// crashes before, unless the message is one itself; see ``DeliveryCount/crashes``.
struct Quarantine {
    /// A message that a process may have crashed on.
    struct Candidate: Equatable {
        let id: StreamID
        var count: DeliveryCount
    }

    /// A message that waits for its turn.
    struct Waiting: Equatable {
        let candidate: Candidate
        let since: NIODeadline

        /// Whether the message may run beside others of its kind.
        var isSociable: Bool { candidate.count.unsettledDeliveries <= 1 }
    }

    /// What to reclaim now, and how to count that.
    struct Admission: Equatable {
        var ids: [StreamID]
        var mode: ReclaimMode
    }

    /// How many quarantined messages may be handled at a time.
    private let slots: Int
    /// Those with the fewest crashes first: a killer does not hold up the innocent.
    private var waiting: [Waiting] = []
    private var admitted: Set<StreamID> = []
    private var isExclusive = false

    /// - Parameter concurrency: How many messages the consumer handles at a time.
    init(concurrency: Int) {
        slots = max(1, concurrency / 2)
    }

    /// Messages turned up that a process may have crashed on. Known ones count once.
    mutating func add(_ candidates: [Candidate], now: NIODeadline) {
        var known = admitted.union(waiting.map(\.candidate.id))
        for candidate in candidates where known.insert(candidate.id).inserted {
            let crashes = candidate.count.unsettledDeliveries
            let position = waiting.firstIndex { $0.candidate.count.unsettledDeliveries > crashes } ?? waiting.endIndex
            waiting.insert(Waiting(candidate: candidate, since: now), at: position)
        }
    }

    /// Admits what there are slots for; `nil` if nothing is to be reclaimed now.
    mutating func admit() -> Admission? {
        guard !isExclusive, let first = waiting.first else { return nil }
        let company = waiting.prefix(while: \.isSociable).prefix(max(0, slots - admitted.count))
        if company.count > 1 || (!company.isEmpty && !admitted.isEmpty) {
            return admit(company.map(\.candidate.id), .company)
        }
        guard admitted.isEmpty else { return nil }
        isExclusive = true
        return admit([first.candidate.id], .exclusive)
    }

    private mutating func admit(_ ids: [StreamID], _ mode: ReclaimMode) -> Admission {
        waiting.removeFirst(ids.count)
        admitted.formUnion(ids)
        return Admission(ids: ids, mode: mode)
    }

    /// An admitted message was settled, or is not this consumer's any more. Returns whether it was admitted.
    @discardableResult
    mutating func ended(_ id: StreamID) -> Bool {
        guard admitted.remove(id) != nil else { return false }
        if admitted.isEmpty { isExclusive = false }
        return true
    }

    /// Whether the message is to be reclaimed, or handled now.
    func isAdmitted(_ id: StreamID) -> Bool { admitted.contains(id) }

    /// Messages that another consumer owns now.
    mutating func remove(_ ids: some Sequence<StreamID>) {
        if waiting.isEmpty, admitted.isEmpty { return }
        let ids = Set(ids)
        waiting.removeAll { ids.contains($0.candidate.id) }
        for id in ids { ended(id) }
    }

    /// Takes out what has waited since `time` or for longer: another consumer may have a free slot.
    mutating func removeWaiting(since time: NIODeadline) -> [Candidate] {
        let overdue = waiting.filter { $0.since <= time }.map(\.candidate)
        if !overdue.isEmpty { waiting.removeAll { $0.since <= time } }
        return overdue
    }

    /// Forgets all of them. Returns their ids.
    mutating func removeAll() -> [StreamID] {
        defer {
            waiting = []
            admitted = []
            isExclusive = false
        }
        return waiting.map(\.candidate.id) + admitted
    }

    /// Whether nothing waits and nothing is admitted.
    var isEmpty: Bool { waiting.isEmpty && admitted.isEmpty }
}
