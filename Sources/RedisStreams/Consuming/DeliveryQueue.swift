internal import DequeModule

/// Batches that have been read and not yet handed out, and who waits for a message while there is none.
///
/// A value without a lock: its owner guards it, and resumes the continuations that it returns when the lock is open
/// again.
///
/// - `open`: batches come, messages go.
/// - `ending`: nothing more comes; what is there is handed out, then the waiters learn why it ended.
/// - `ended`: nothing is handed out any more. What is there then, and what still comes, is the rest.
struct DeliveryQueue<Batch: RandomAccessCollection>: ~Copyable where Batch.Index == Int {
    typealias Message = Batch.Element
    typealias Waiter = CheckedContinuation<Result<Message?, RedisError>, Never>

    private enum Life {
        case open
        case ending(RedisError)
        case ended
    }

    private var life: Life = .open
    private var batches: Deque<(messages: Batch, bytes: Int, start: Int)> = []
    /// What was there at the end, or came later.
    private var rest: [Batch.SubSequence] = []
    /// Where in the first batch the next message is.
    private var position = 0
    private var waiters: Deque<(id: Int, waiter: Waiter)> = []
    /// How many messages wait to be handed out.
    private(set) var count = 0
    /// How many bytes the batches have of which a message waits.
    private(set) var byteCount = 0

    /// What there is for somebody who asks for a message.
    enum Next {
        case message(Message)
        case nothing
        case end
        case failure(RedisError)
    }

    /// How many wait for a message.
    var waitingCount: Int { waiters.count }

    /// Hands out the next message.
    mutating func next() -> Next {
        if case .ended = life { return .end }
        guard let (batch, bytes, _) = batches.first else {
            guard case .ending(let error) = life else { return .nothing }
            life = .ended
            return .failure(error)
        }
        let message = batch[position]
        count -= 1
        position += 1
        if position == batch.endIndex {
            batches.removeFirst()
            byteCount -= bytes
            position = batches.first?.start ?? 0
        }
        return .message(message)
    }

    /// Somebody waits.
    mutating func wait(_ id: Int, _ waiter: Waiter) {
        waiters.append((id, waiter))
    }

    /// Somebody waits no longer.
    mutating func removeWaiter(_ id: Int) -> Waiter? {
        guard let position = waiters.firstIndex(where: { $0.id == id }) else { return nil }
        return waiters.remove(at: position).waiter
    }

    /// Adds a batch, which takes so many bytes; returns who gets what of it at once.
    mutating func append(_ batch: Batch, bytes: Int = 0) -> [(Waiter, Message)] {
        add(batch, bytes: bytes) { $0.batches.append((batch, bytes, 0)) }
    }

    /// Adds a batch before all that waits.
    mutating func prepend(_ batch: Batch, bytes: Int = 0) -> [(Waiter, Message)] {
        add(batch, bytes: bytes) { queue in
            // The batch that is being handed out goes on later where it was.
            if !queue.batches.isEmpty { queue.batches[0].start = queue.position }
            queue.batches.prepend((batch, bytes, 0))
            queue.position = 0
        }
    }

    private mutating func add(
        _ batch: Batch,
        bytes: Int,
        _ insert: (inout Self) -> Void
    ) -> [(Waiter, Message)] {
        guard case .open = life else {
            rest.append(batch[...])
            return []
        }
        guard !batch.isEmpty else { return [] }
        insert(&self)
        count += batch.count
        byteCount += bytes
        var handed: [(Waiter, Message)] = []
        while !waiters.isEmpty, case .message(let message) = next(), let (_, waiter) = waiters.popFirst() {
            handed.append((waiter, message))
        }
        return handed
    }

    /// Nothing more comes, because of `error`; what is there is still handed out. Returns who waited.
    mutating func fail(_ error: RedisError) -> [(Waiter, Result<Message?, RedisError>)] {
        guard case .open = life else { return [] }
        life = .ending(error)
        guard let first = waiters.popFirst() else { return [] }
        // The error is told once, to the first who asks; the others see the end.
        life = .ended
        defer { waiters = [] }
        return [(first.waiter, .failure(error))] + waiters.map { ($0.waiter, .success(nil)) }
    }

    /// Ends at once: what is there is not handed out any more. Returns who waited.
    mutating func end() -> [Waiter] {
        life = .ended
        for (index, (batch, _, start)) in batches.enumerated() {
            rest.append(batch[(index == 0 ? position : start)...])
        }
        batches = []
        position = 0
        count = 0
        byteCount = 0
        defer { waiters = [] }
        return waiters.map(\.waiter)
    }

    /// The least that there is of the batches of which a message waits.
    func minimum<Value: Comparable>(of value: (Batch) -> Value) -> Value? {
        batches.reduce(nil) { least, batch in
            let value = value(batch.messages)
            return least.map { min($0, value) } ?? value
        }
    }

    /// Takes the batches out of which this holds; returns what was not handed out of them.
    mutating func remove(where isConcerned: (Batch) -> Bool) -> [Batch.SubSequence] {
        guard !batches.isEmpty else { return [] }
        batches[0].start = position
        var removed: [Batch.SubSequence] = []
        for (batch, bytes, start) in batches where isConcerned(batch) {
            removed.append(batch[start...])
            count -= batch.count - start
            byteCount -= bytes
        }
        if !removed.isEmpty { batches.removeAll { isConcerned($0.messages) } }
        position = batches.first?.start ?? 0
        return removed
    }

    /// Takes what was not handed out, once nothing is any more.
    mutating func takeRest() -> [Batch.SubSequence] {
        guard case .ended = life else { return [] }
        defer { rest = [] }
        return rest
    }
}
