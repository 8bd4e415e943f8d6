internal import DequeModule

/// The messages of a producer, and the callers who wait for room in its buffer. No I/O; the owner guards it with a
/// lock.
///
/// A message first *waits* for room in the buffer. Then it is *pending* until the engine sends it, and *sent* until its
/// reply arrives. Pending and sent messages together are *held*; their number and size are bounded.
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
    /// The reason why the producer accepts no more messages; `nil` while it accepts them.
    private var end: RedisError?

    init(_ configuration: StreamProducer.Configuration) {
        self.configuration = configuration
    }

    enum Submission {
        case accepted
        case waiting
        case refused(RedisError)
    }

    /// A caller submits a message.
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

    /// An empty buffer accepts any message, so that one larger than the whole buffer can be sent.
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

    /// How many messages are sent before the one that waits for room under this id; `nil` if no message does.
    func position(of id: Int) -> Int? {
        waiting.firstIndex { $0.id == id }.map { pending.count + $0 }
    }

    /// How many messages have not been sent, including those that wait for room.
    var unsentCount: Int { pending.count + waiting.count }

    /// A caller who waits for room was cancelled. Returns its waiter, if it still waited, and the waiters whose
    /// messages are accepted now: the messages behind it may need less room.
    mutating func cancel(id: Int) -> (waiter: Waiter?, admitted: [Waiter]) {
        guard let position = waiting.firstIndex(where: { $0.id == id }) else { return (nil, []) }
        let waiter = waiting.remove(at: position).waiter
        return (waiter, admit())
    }

    var hasPending: Bool { !pending.isEmpty }

    /// Whether the engine has to wake up: for the first message, and when the batch is full.
    var needsEngine: Bool { pending.count == 1 || isBatchFull }

    /// Whether the next batch cannot grow any more, so that the engine should not wait for more messages.
    var isBatchFull: Bool {
        pending.count >= configuration.batchCount || pendingBytes >= configuration.batchBytes || end != nil
            || !waiting.isEmpty
    }

    /// Removes and returns the messages to send next, with their size in bytes: at least one message, if there is one.
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

    /// The replies to messages have arrived. Returns the waiters whose messages are accepted now.
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

    /// Whether no message is held, and none waits for room.
    var isDrained: Bool { heldCount == 0 && waiting.isEmpty }

    /// Whether there will be no more messages to send.
    var isFinished: Bool { end != nil && pending.isEmpty && waiting.isEmpty }

    /// Accepts no new messages; those that already wait for room are still accepted.
    mutating func finish(_ error: RedisError) {
        end = end ?? error
    }

    /// Drops all messages that have not been sent. Returns them, and the waiters for room.
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
