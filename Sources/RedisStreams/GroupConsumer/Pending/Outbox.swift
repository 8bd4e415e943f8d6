internal import DequeModule
internal import NIOCore

/// Outcomes that the server does not have yet, in the order in which the consumer sends them: acknowledgements, then
/// requeues, then publications one by one. A settlement that was sent stays here until its reply arrives, and returns
/// to the front of its queue if the reply is lost.
struct Outbox: ~Copyable {
    private struct Acknowledgement {
        let id: StreamID
        /// When this consumer sent the command that gave it the message, or renewed its lease; `nil` if that is not
        /// known.
        let leaseStart: NIODeadline?
    }

    /// The most messages that one script requeues: while it runs, the server serves no other client.
    private static let maxRequeues = 200

    private var acknowledgements: [Acknowledgement] = []
    private var requeues: [Requeue] = []
    private var publications: Deque<Publication> = []
    private var sent: [Int: Settlement] = [:]
    private var lastNumber = 0
    /// Whether the last publication failed or its reply was lost: the others wait until one has succeeded.
    private var isHoldingBack = false

    /// Whether there is something to send.
    var hasQueued: Bool { hasSendable || !publications.isEmpty }

    /// Whether there is something to send that is not held back.
    var hasSendable: Bool {
        !acknowledgements.isEmpty || !requeues.isEmpty || (!publications.isEmpty && !isHoldingBack)
    }

    /// How many publications are held back.
    var heldBackCount: Int { isHoldingBack ? publications.count : 0 }

    /// Whether something was sent that has no reply yet.
    var isSending: Bool { !sent.isEmpty }

    // MARK: Queueing

    mutating func acknowledge(_ id: StreamID, leaseStart: NIODeadline?) {
        acknowledgements.append(Acknowledgement(id: id, leaseStart: leaseStart))
    }

    mutating func requeue(_ requeue: Requeue) { requeues.append(requeue) }

    mutating func publish(_ publication: Publication) { publications.append(publication) }

    // MARK: Sending

    /// Which settlements may be sent.
    enum Reach {
        /// Those that need no script.
        case certain
        /// Those that are not held back.
        case sendable
        /// All.
        case all
        /// Those that are no acknowledgements and not held back.
        case others
    }

    /// Takes out what to send next; `nil` if there is nothing.
    mutating func next(
        atMost limit: Int,
        now: NIODeadline,
        epoch: Int,
        _ leasePolicy: LeasePolicy,
        _ reach: Reach
    ) -> SentSettlement? {
        let fencingDeadline = fencingDeadline(of: limit, leasePolicy)
        let isCertain = fencingDeadline > now
        switch reach {
        case .certain: if acknowledgements.isEmpty || !isCertain { return nil }
        case .sendable: if !hasSendable { return nil }
        case .all: break
        case .others: if requeues.isEmpty, publications.isEmpty || isHoldingBack { return nil }
        }
        let acknowledges = reach != .others && !acknowledgements.isEmpty
        let settlement = acknowledges ? nextAcknowledgements(atMost: limit, isCertain: isCertain) : nextOther()
        guard let settlement else { return nil }
        lastNumber += 1
        sent[lastNumber] = settlement
        return SentSettlement(
            number: lastNumber,
            epoch: epoch,
            settlement: settlement,
            fencingDeadline: fencingDeadline
        )
    }

    /// Until when the first acknowledgements are certainly of this consumer's messages.
    private func fencingDeadline(of count: Int, _ leasePolicy: LeasePolicy) -> NIODeadline {
        var earliest = NIODeadline.distantFuture
        for acknowledgement in acknowledgements.prefix(count) {
            earliest = min(earliest, leasePolicy.fencingDeadline(acknowledgement.leaseStart))
        }
        return earliest
    }

    private mutating func nextAcknowledgements(atMost limit: Int, isCertain: Bool) -> Settlement {
        let ids = acknowledgements.prefix(limit).map(\.id)
        if ids.count == acknowledgements.count {
            acknowledgements.removeAll(keepingCapacity: true)
        } else {
            acknowledgements.removeFirst(ids.count)
        }
        return .acknowledge(ids, isCertain: isCertain)
    }

    private mutating func nextOther() -> Settlement? {
        if requeues.isEmpty { return publications.popFirst().map { .publish($0) } }
        let next = Array(requeues.prefix(Self.maxRequeues))
        requeues.removeFirst(next.count)
        return .requeue(next)
    }

    /// Removes a settlement that the server has executed, or will never execute, and returns it.
    mutating func end(_ number: Int) -> Settlement? {
        guard let settlement = sent.removeValue(forKey: number) else { return nil }
        if case .publish = settlement { isHoldingBack = false }
        return settlement
    }

    /// Queues a settlement again whose reply was lost: it does no harm if the server executes it twice.
    mutating func restore(_ number: Int) {
        switch sent.removeValue(forKey: number) {
        case .acknowledge(let ids, _):
            acknowledgements.insert(contentsOf: ids.map { Acknowledgement(id: $0, leaseStart: nil) }, at: 0)
        case .requeue(let entries): requeues.insert(contentsOf: entries, at: 0)
        case .publish(var publication):
            publication.mayHaveExecuted = true
            publications.prepend(publication)
            isHoldingBack = true
        case nil: break
        }
    }

    /// Forgets everything: the group was lost.
    mutating func removeAll() {
        acknowledgements = []
        requeues = []
        publications = []
        sent = [:]
        isHoldingBack = false
    }

    // MARK: Contents

    /// All ids, each once for every queue that it is in.
    var ids: [StreamID] {
        acknowledgements.map(\.id) + requeues.map(\.id) + publications.map(\.id) + sent.values.flatMap(\.ids)
    }

    /// The ids of publications that were not sent: the consumer renews their leases.
    var publicationIDs: some Sequence<StreamID> { publications.lazy.map(\.id) }

    func state(of id: StreamID) -> EntryState? {
        if acknowledgements.contains(where: { $0.id == id }) { return .acknowledging }
        if requeues.contains(where: { $0.id == id }) { return .requeueing }
        if publications.contains(where: { $0.id == id }) { return .publishing }
        switch sent.values.first(where: { $0.ids.contains(id) }) {
        case .acknowledge: return .acknowledging
        case .requeue: return .requeueing
        case .publish: return .publishing
        case nil: return nil
        }
    }
}
