internal import NIOCore
internal import Synchronization

/// A batch of messages that the server has given to this consumer, and which of them are held.
///
// SAFETY: only `HeldBatches` changes `isHeld` and `heldCount`, and they are read and changed under the lock of the
// `PendingMessages` alone; everything else is immutable or atomic.
final class DeliveredBatch: @unchecked Sendable {
    let storage: MessageBatch.Storage
    let source: GroupMessage.Source
    let pending: PendingMessages
    /// Whether its one message runs in quarantine, where it occupies a slot until the server has its outcome.
    let isQuarantined: Bool
    /// The delivery counts of the messages; `nil` if each was delivered once.
    private let counts: [DeliveryCount]?
    private let storedLeaseStart: Atomic<UInt64>
    /// When the messages arrived, by the clock of leases.
    let arrived: NIODeadline
    private let hasLosses = Atomic(false)
    /// For each message, whether it is held: it has no outcome, and this consumer owns it as far as it knows.
    fileprivate(set) var isHeld: [Bool]
    fileprivate(set) var heldCount: Int

    init(
        _ batch: MessageBatch,
        counts: [DeliveryCount]? = nil,
        source: GroupMessage.Source,
        pending: PendingMessages,
        leaseStart: NIODeadline,
        isQuarantined: Bool = false
    ) {
        self.isQuarantined = isQuarantined
        storage = batch.storage
        self.counts = counts
        self.source = source
        self.pending = pending
        storedLeaseStart = Atomic(leaseStart.uptimeNanoseconds)
        arrived = pending.leaseTime
        isHeld = Array(repeating: true, count: batch.count)
        heldCount = batch.count
    }

    func id(at position: Int) -> StreamID { storage.entries[position].id }

    func count(at position: Int) -> DeliveryCount { counts?[position] ?? .first }

    /// When this consumer sent the command that gave it the messages, or renewed their lease: on the server, the lease
    /// does not start before this time.
    var leaseStart: NIODeadline { .uptimeNanoseconds(storedLeaseStart.load(ordering: .relaxed)) }

    func renewLease(from time: NIODeadline) { storedLeaseStart.store(time.uptimeNanoseconds, ordering: .relaxed) }

    /// Whether some of the messages were lost, so that each has to be checked before it is handled.
    var mayHaveLosses: Bool { hasLosses.load(ordering: .relaxed) }

    fileprivate func markLoss() { hasLosses.store(true, ordering: .relaxed) }

    /// The position of an id in the batch, whose ids ascend.
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

    /// The ids of the messages that are held.
    var heldIDs: [StreamID] { isHeld.indices.filter { isHeld[$0] }.map { id(at: $0) } }
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

/// The messages in the state *held*: a flag for each in its batch, so that a fresh message costs no hash.
struct HeldBatches: ~Copyable {
    private(set) var batches: [DeliveredBatch] = []
    /// How many messages are held.
    private(set) var count = 0
    private var isFinished = false

    mutating func hold(_ batch: DeliveredBatch) {
        batches.append(batch)
        count += batch.heldCount
    }

    func contains(_ id: StreamID) -> Bool {
        batches.contains { batch in batch.position(of: id).map { batch.isHeld[$0] } ?? false }
    }

    /// Removes a message. Returns `false` if it was not held.
    mutating func remove(_ batch: DeliveredBatch, _ position: Int) -> Bool {
        guard batch.isHeld[position] else { return false }
        batch.isHeld[position] = false
        batch.heldCount -= 1
        if isFinished { return true }
        count -= 1
        if batch.heldCount == 0, let index = batches.firstIndex(where: { $0 === batch }) { batches.remove(at: index) }
        return true
    }

    /// Removes messages. Returns the positions of those that were held.
    mutating func remove(_ ids: [StreamID]) -> [HeldPosition] {
        var removed: [HeldPosition] = []
        for id in ids {
            for batch in batches {
                guard let position = batch.position(of: id), remove(batch, position) else { continue }
                removed.append(HeldPosition(batch: batch, position: position))
                break
            }
        }
        return removed
    }

    /// Removes messages that another consumer owns, or may own. Returns the positions of those that were held.
    mutating func lose(_ ids: [StreamID]) -> [HeldPosition] {
        let lost = remove(ids)
        for message in lost { message.batch.markLoss() }
        return lost
    }

    /// Removes all messages, since their group was lost. Returns their positions.
    mutating func loseAll() -> [HeldPosition] {
        var lost: [HeldPosition] = []
        for batch in batches {
            for position in batch.isHeld.indices where remove(batch, position) {
                lost.append(HeldPosition(batch: batch, position: position))
            }
            batch.markLoss()
        }
        return lost
    }

    /// The consumer has ended, and renews no lease any more. The outcome that a late handler decides still counts.
    mutating func finish() {
        batches = []
        count = 0
        isFinished = true
    }
}
