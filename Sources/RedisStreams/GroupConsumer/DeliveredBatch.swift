internal import NIOCore

/// A batch that this consumer holds, and which of its messages are still open.
///
// SAFETY: `isOpen` and `openCount` are only touched by the session's `SettlementLedger`, under the session's lock;
// everything else is immutable.
final class DeliveredBatch: @unchecked Sendable {
    let storage: MessageBatch.Storage
    let source: GroupMessage.Source
    let session: GroupSession
    /// From when on others may claim the messages.
    let freshUntil: NIODeadline?
    /// For each message, whether its fate is undecided.
    fileprivate var isOpen: [Bool]
    fileprivate var openCount: Int

    init(_ batch: MessageBatch, source: GroupMessage.Source, session: GroupSession, freshUntil: NIODeadline? = nil) {
        self.freshUntil = freshUntil
        storage = batch.storage
        self.source = source
        self.session = session
        isOpen = Array(repeating: true, count: batch.count)
        openCount = batch.count
    }
}

/// What this consumer holds, and what it has still to acknowledge. Free of I/O; guarded by its owner.
///
/// An id is, in this order: *held*, from its arrival to its settlement; *due*, until an `XACK` is sent; *sent*, until
/// the reply is there. A reply that is lost makes it due again. Whatever the server delivers meanwhile with such an id
/// is a repetition, and is left out.
struct SettlementLedger: ~Copyable {
    private var held: [DeliveredBatch] = []
    private var due: [StreamID] = []
    private var sent: [[StreamID]] = []
    /// How many replies are to come that may bring what is pending.
    private var looksBack = 0
    /// What was acknowledged while the server may have looked already.
    private var confirmed: Set<StreamID> = []

    /// Whether there is something to acknowledge.
    var hasDue: Bool { !due.isEmpty }

    /// Whether something was sent whose reply is not there.
    var isSending: Bool { !sent.isEmpty }

    /// Nothing is held any more: what is open stays pending on the server.
    mutating func releaseAll() {
        held = []
    }

    /// A batch has arrived.
    mutating func hold(_ batch: DeliveredBatch) {
        held.append(batch)
    }

    /// Something is sent that may bring what is pending. The server may see it before an acknowledgement that overtakes
    /// its reply, on another connection.
    mutating func beginLookingBack() { looksBack += 1 }

    mutating func endLookingBack() {
        looksBack -= 1
        if looksBack == 0 { confirmed = [] }
    }

    /// Leaves out of a batch what is held already, or on its way to be acknowledged.
    func leavingOutKnown(_ batch: MessageBatch) -> MessageBatch {
        guard !batch.isEmpty else { return batch }
        let acknowledged = Set(due).union(sent.joined()).union(confirmed)
        return batch.filter { entry in !acknowledged.contains(entry.id) && !isHeld(entry.id) }
    }

    private func isHeld(_ id: StreamID) -> Bool {
        held.contains { batch in
            guard let position = batch.position(of: id) else { return false }
            return batch.isOpen[position]
        }
    }

    /// A message has been handled. Returns whether it was open, and so is due now.
    mutating func settle(_ batch: DeliveredBatch, _ position: Int) -> Bool {
        guard close(batch, position) else { return false }
        due.append(batch.storage.entries[position].id)
        return true
    }

    /// A message has not been handled: it stays pending on the server, and may be delivered again.
    mutating func release(_ batch: DeliveredBatch, _ position: Int) {
        _ = close(batch, position)
    }

    /// A message has been acknowledged by somebody else who has it.
    mutating func acknowledged(_ batch: DeliveredBatch, _ position: Int) {
        _ = close(batch, position)
        if looksBack > 0 { confirmed.insert(batch.storage.entries[position].id) }
    }

    private mutating func close(_ batch: DeliveredBatch, _ position: Int) -> Bool {
        guard batch.isOpen[position] else { return false }
        batch.isOpen[position] = false
        batch.openCount -= 1
        if batch.openCount == 0, let index = held.firstIndex(where: { $0 === batch }) { held.remove(at: index) }
        return true
    }

    /// Ids to acknowledge that were never held, such as those of deleted entries.
    mutating func acknowledge(_ ids: [StreamID]) {
        due.append(contentsOf: ids)
    }

    /// The ids to send now, in the order in which they were settled.
    mutating func takeDue(atMost limit: Int) -> [StreamID] {
        guard !due.isEmpty else { return [] }
        let taken = Array(due.prefix(limit))
        if taken.count == due.count { due.removeAll(keepingCapacity: true) } else { due.removeFirst(taken.count) }
        sent.append(taken)
        return taken
    }

    /// The server has acknowledged them.
    mutating func confirm(_ ids: [StreamID]) {
        removeSent(ids)
        if looksBack > 0 { confirmed.formUnion(ids) }
    }

    /// It is not known whether the server has acknowledged them: they are sent again, which does no harm.
    mutating func restore(_ ids: [StreamID]) {
        removeSent(ids)
        due.insert(contentsOf: ids, at: 0)
    }

    private mutating func removeSent(_ ids: [StreamID]) {
        if let index = sent.firstIndex(of: ids) { sent.remove(at: index) }
    }
}

extension DeliveredBatch {
    /// Where the id stands in the batch, whose ids ascend.
    fileprivate func position(of id: StreamID) -> Int? {
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

/// The messages of a delivered batch.
struct DeliveredMessages: RandomAccessCollection {
    let batch: DeliveredBatch

    var startIndex: Int { 0 }
    var endIndex: Int { batch.storage.entries.count }
    subscript(position: Int) -> GroupMessage { GroupMessage(batch: batch, position: position) }
}
