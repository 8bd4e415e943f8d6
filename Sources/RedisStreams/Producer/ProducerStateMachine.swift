internal import DequeModule

/// What a producer holds, who waits for room, and what the next batch is. Free of I/O; guarded by its owner.
///
/// A message *waits for room*, is *pending*, is *sent*, and is gone when its reply is there. Pending and sent ones are
/// *held*, and bounded.
struct ProducerStateMachine<Item, Waiter>: ~Copyable {
    private struct Entry {
        let item: Item
        let bytes: Int
    }

    private let configuration: StreamProducer.Configuration
    private var waiting: Deque<(id: Int, entry: Entry, waiter: Waiter)> = []
    private var pending: Deque<Entry> = []
    private var pendingBytes = 0
    private var heldCount = 0
    private var heldBytes = 0
    /// Why nothing more is accepted.
    private var end: RedisError?

    init(_ configuration: StreamProducer.Configuration) {
        self.configuration = configuration
    }

    enum Submission {
        case accepted
        case waiting
        case refused(RedisError)
    }

    /// A message comes in.
    mutating func submit(_ item: Item, bytes: Int, id: Int, waiter: Waiter) -> Submission {
        if let end { return .refused(end) }
        let entry = Entry(item: item, bytes: bytes)
        guard waiting.isEmpty, hasRoom(for: bytes) else {
            waiting.append((id, entry, waiter))
            return .waiting
        }
        hold(entry)
        return .accepted
    }

    /// A message larger than the whole buffer is let in alone.
    private func hasRoom(for bytes: Int) -> Bool {
        heldCount == 0
            || (heldCount < configuration.bufferCount && heldBytes + bytes <= configuration.bufferBytes)
    }

    private mutating func hold(_ entry: Entry) {
        pending.append(entry)
        pendingBytes += entry.bytes
        heldCount += 1
        heldBytes += entry.bytes
    }

    /// How many messages are to be sent before the one that waits for room under this number; `nil` if none does.
    func position(of id: Int) -> Int? {
        waiting.firstIndex { $0.id == id }.map { pending.count + $0 }
    }

    /// How many messages have not been sent, those that wait for room included.
    var unsentCount: Int { pending.count + waiting.count }

    /// Somebody does not want to wait for room any more. Returns the waiter, if there was one, and who has got in now,
    /// since those behind may need less room.
    mutating func cancel(id: Int) -> (waiter: Waiter?, admitted: [Waiter]) {
        guard let position = waiting.firstIndex(where: { $0.id == id }) else { return (nil, []) }
        let waiter = waiting.remove(at: position).waiter
        return (waiter, admit())
    }

    var hasPending: Bool { !pending.isEmpty }

    /// Whether who sends has to look: at the first message, and when the batch is full.
    var deservesAttention: Bool { pending.count == 1 || isBatchFull }

    /// Whether the next batch is as large as it gets, so that waiting for more makes no sense.
    var isBatchFull: Bool {
        pending.count >= configuration.batchCount || pendingBytes >= configuration.batchBytes || end != nil
            || !waiting.isEmpty
    }

    /// The messages to send next, at least one if there is one, with the bytes that they hold.
    mutating func takeBatch() -> (items: [Item], bytes: Int) {
        var items: [Item] = []
        var bytes = 0
        while items.count < configuration.batchCount, bytes < configuration.batchBytes, let entry = pending.popFirst() {
            items.append(entry.item)
            bytes += entry.bytes
        }
        pendingBytes -= bytes
        return (items, bytes)
    }

    /// Messages have their replies. Returns who has got in now.
    mutating func settled(count: Int, bytes: Int) -> [Waiter] {
        heldCount -= count
        heldBytes -= bytes
        return admit()
    }

    private mutating func admit() -> [Waiter] {
        var admitted: [Waiter] = []
        while let next = waiting.first, hasRoom(for: next.entry.bytes) {
            waiting.removeFirst()
            hold(next.entry)
            admitted.append(next.waiter)
        }
        return admitted
    }

    /// Whether nothing is held and nobody waits.
    var isDrained: Bool { heldCount == 0 && waiting.isEmpty }

    /// Whether nothing more will come.
    var isFinished: Bool { end != nil && pending.isEmpty && waiting.isEmpty }

    /// Accepts nothing more; what waits for room still gets in.
    mutating func finish(_ error: RedisError) {
        end = end ?? error
    }

    /// Gives up what has not been sent. Returns it, and who waits for room.
    mutating func abort(_ error: RedisError) -> (items: [Item], waiters: [Waiter]) {
        end = end ?? error
        defer {
            heldCount -= pending.count
            heldBytes -= pendingBytes
            pending = []
            pendingBytes = 0
            waiting = []
        }
        return (pending.map(\.item), waiting.map(\.waiter))
    }
}
