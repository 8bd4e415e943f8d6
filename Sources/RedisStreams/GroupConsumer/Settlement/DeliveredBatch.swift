internal import NIOCore
internal import Synchronization

/// A batch that this consumer holds, and which of its messages are still open.
///
// SAFETY: `isOpen` and `openCount` are only touched by the session's `SettlementLedger`, under the session's lock;
// everything else is immutable or atomic.
final class DeliveredBatch: @unchecked Sendable {
    let storage: MessageBatch.Storage
    let source: GroupMessage.Source
    let session: GroupSession
    /// Whether its message is handled in quarantine, where others wait for its end.
    let isQuarantined: Bool
    /// How often the server has counted each message as delivered; `nil` for once.
    private let counts: [DeliveryCount]?
    /// When that was sent which gave this consumer the messages, or renewed that: from then on the lease counts.
    private let leaseStartTime: Atomic<UInt64>
    /// When the messages came, by the clock of leases.
    let arrived: NIODeadline
    /// Whether some of the messages have been lost to others.
    private let hasLosses = Atomic(false)
    /// For each message, whether its disposition is undecided.
    fileprivate(set) var isOpen: [Bool]
    fileprivate(set) var openCount: Int

    init(
        _ batch: MessageBatch,
        counts: [DeliveryCount]? = nil,
        source: GroupMessage.Source,
        session: GroupSession,
        leaseStart: NIODeadline,
        isQuarantined: Bool = false
    ) {
        self.isQuarantined = isQuarantined
        storage = batch.storage
        self.counts = counts
        self.source = source
        self.session = session
        leaseStartTime = Atomic(leaseStart.uptimeNanoseconds)
        arrived = session.leaseTime
        isOpen = Array(repeating: true, count: batch.count)
        openCount = batch.count
    }

    func id(at position: Int) -> StreamID { storage.entries[position].id }

    func count(at position: Int) -> DeliveryCount { counts?[position] ?? .first }

    /// When that was sent which gave this consumer the messages, or renewed their lease.
    var leaseStart: NIODeadline { .uptimeNanoseconds(leaseStartTime.load(ordering: .relaxed)) }

    func grant(_ time: NIODeadline) { leaseStartTime.store(time.uptimeNanoseconds, ordering: .relaxed) }

    /// Whether it has to be looked up if a message is still this consumer's.
    var mayHaveLosses: Bool { hasLosses.load(ordering: .relaxed) }

    fileprivate func noteLoss() { hasLosses.store(true, ordering: .relaxed) }

    /// Where the id stands in the batch, whose ids ascend.
    func position(of id: StreamID) -> Int? {
        let entries = storage.entries
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].id < id { low = middle + 1 } else { high = middle }
        }
        return low < entries.count && entries[low].id == id ? low : nil
    }
}

/// The batches with messages whose disposition is undecided.
struct HeldBatches: ~Copyable {
    private(set) var batches: [DeliveredBatch] = []
    /// How many messages are open.
    private(set) var count = 0
    private var isOver = false
    /// Quarantined messages that were settled or lost since the last time somebody asked.
    private var endedQuarantined: [StreamID] = []

    /// Takes out the quarantined messages whose handling has ended.
    mutating func takeEndedQuarantined() -> [StreamID] {
        if endedQuarantined.isEmpty { return [] }
        defer { endedQuarantined = [] }
        return endedQuarantined
    }

    mutating func hold(_ batch: DeliveredBatch) {
        batches.append(batch)
        count += batch.openCount
    }

    func contains(_ id: StreamID) -> Bool {
        batches.contains { batch in batch.position(of: id).map { batch.isOpen[$0] } ?? false }
    }

    /// The disposition of a message is decided. Returns `false` if it was before.
    mutating func close(_ batch: DeliveredBatch, _ position: Int) -> Bool {
        guard batch.isOpen[position] else { return false }
        batch.isOpen[position] = false
        batch.openCount -= 1
        if isOver { return true }
        count -= 1
        if batch.isQuarantined { endedQuarantined.append(batch.id(at: position)) }
        if batch.openCount == 0, let index = batches.firstIndex(where: { $0 === batch }) { batches.remove(at: index) }
        return true
    }

    /// Messages are others' now. Returns where those of them stand that were open.
    mutating func lose(_ ids: [StreamID]) -> [HeldPosition] {
        let lost = close(ids)
        for message in lost { message.batch.noteLoss() }
        return lost
    }

    /// The fates of messages are decided. Returns where those of them stand that were open.
    @discardableResult
    mutating func close(_ ids: [StreamID]) -> [HeldPosition] {
        var closed: [HeldPosition] = []
        for id in ids {
            for batch in batches {
                guard let position = batch.position(of: id), close(batch, position) else { continue }
                closed.append(HeldPosition(batch: batch, position: position))
                break
            }
        }
        return closed
    }

    /// Everything that is held is lost. Returns where it stands.
    mutating func loseAll() -> [HeldPosition] {
        var lost: [HeldPosition] = []
        for batch in batches {
            for position in batch.isOpen.indices where close(batch, position) {
                lost.append(HeldPosition(batch: batch, position: position))
            }
            batch.noteLoss()
        }
        return lost
    }

    /// Nothing is held any more. A handler that is late is still heard.
    mutating func removeAll() {
        batches = []
        count = 0
        isOver = true
    }
}

/// One message of a batch.
struct HeldPosition: Sendable {
    let batch: DeliveredBatch
    let position: Int

    var id: StreamID { batch.id(at: position) }
}

extension HeldPosition: Hashable {
    static func == (one: Self, other: Self) -> Bool {
        one.batch === other.batch && one.position == other.position
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(ObjectIdentifier(batch))
        hasher.combine(position)
    }
}

/// The messages of a delivered batch.
struct DeliveredMessages: RandomAccessCollection {
    let batch: DeliveredBatch

    var startIndex: Int { 0 }
    var endIndex: Int { batch.storage.entries.count }
    subscript(position: Int) -> GroupMessage { GroupMessage(batch: batch, position: position) }
}
