internal import NIOCore

/// Messages that a process may have crashed on, and which of them are handled now. Free of I/O and clocks.
///
/// - `waiting`: only the id is known; those with the fewest crashes come first. Goes to `admitted`, or leaves when the
///   message is requeued, lost or deleted.
/// - `admitted`: the consumer reclaims and handles it. Leaves when the server has its outcome.
///
/// The consumer handles other messages meanwhile: a quarantined message uses a handler, not the whole consumer.
/// Messages with one crash run together (mode `together`), in up to half of the handlers, since most of them are
/// innocent: a process that dies leaves many messages, of which at most one is the cause. Messages with more crashes,
/// also if several ran together then, run without another quarantined message beside them (mode `alone`). So the
/// crashes that count against a message have different causes, unless the message itself is the cause; see
/// ``DeliveryCount/crashes``.
struct Quarantine {
    /// A message that a process may have crashed on.
    struct Candidate: Equatable {
        let id: StreamID
        var count: DeliveryCount
    }

    /// A message that waits for a slot.
    struct Waiting: Equatable {
        let candidate: Candidate
        let since: NIODeadline

        /// Whether the message may run together with other quarantined messages.
        var mayRunTogether: Bool { candidate.count.deliveriesWithoutOutcome <= 1 }
    }

    /// Which messages to reclaim now, and how to count these deliveries.
    struct Admission: Equatable {
        var ids: [StreamID]
        var mode: ReclaimMode
    }

    /// How many quarantined messages may be handled at a time.
    private let slots: Int
    /// Those with the fewest crashes first: a message that crashes processes does not delay innocent ones.
    private var waiting: [Waiting] = []
    private var admitted: Set<StreamID> = []
    private var isExclusive = false

    /// - Parameter concurrency: How many messages the consumer handles at a time.
    init(concurrency: Int) {
        slots = max(1, concurrency / 2)
    }

    /// Adds messages that a process may have crashed on, unless they are here already.
    mutating func add(_ candidates: [Candidate], now: NIODeadline) {
        var known = admitted.union(waiting.map(\.candidate.id))
        for candidate in candidates where known.insert(candidate.id).inserted {
            let crashes = candidate.count.deliveriesWithoutOutcome
            let next = waiting.firstIndex { $0.candidate.count.deliveriesWithoutOutcome > crashes }
            waiting.insert(Waiting(candidate: candidate, since: now), at: next ?? waiting.endIndex)
        }
    }

    /// Admits as many messages as there are slots for; `nil` for none.
    mutating func admit() -> Admission? {
        guard !isExclusive, let first = waiting.first else { return nil }
        let others = waiting.prefix(while: \.mayRunTogether).prefix(max(0, slots - admitted.count))
        if others.count > 1 || (!others.isEmpty && !admitted.isEmpty) {
            return admit(others.map(\.candidate.id), .together)
        }
        guard admitted.isEmpty else { return nil }
        isExclusive = true
        return admit([first.candidate.id], .alone)
    }

    private mutating func admit(_ ids: [StreamID], _ mode: ReclaimMode) -> Admission {
        waiting.removeFirst(ids.count)
        admitted.formUnion(ids)
        return Admission(ids: ids, mode: mode)
    }

    /// A message was settled, or this consumer does not own it any more. Returns whether it was admitted.
    @discardableResult
    mutating func ended(_ id: StreamID) -> Bool {
        // Nearly always nothing is admitted, and this is asked for each message.
        guard !admitted.isEmpty, admitted.remove(id) != nil else { return false }
        if admitted.isEmpty { isExclusive = false }
        return true
    }

    /// Whether the consumer reclaims or handles the message now.
    func isAdmitted(_ id: StreamID) -> Bool { admitted.contains(id) }

    /// Removes messages that were lost or deleted. Returns whether a slot was freed.
    @discardableResult
    mutating func remove(_ ids: some Sequence<StreamID>) -> Bool {
        if waiting.isEmpty, admitted.isEmpty { return false }
        let ids = Set(ids)
        waiting.removeAll { ids.contains($0.candidate.id) }
        return ids.count(where: { ended($0) }) > 0
    }

    /// Removes and returns messages that have waited since `time` or for longer: another consumer may have a free slot.
    mutating func removeWaiting(since time: NIODeadline) -> [Candidate] {
        let overdue = waiting.filter { $0.since <= time }.map(\.candidate)
        if !overdue.isEmpty { waiting.removeAll { $0.since <= time } }
        return overdue
    }

    /// Forgets all messages: the group was lost.
    mutating func removeAll() {
        waiting = []
        admitted = []
        isExclusive = false
    }

    /// Whether nothing waits and nothing is admitted.
    var isEmpty: Bool { waiting.isEmpty && admitted.isEmpty }
}
