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
    private var batches: Deque<(messages: Batch, bytes: Int)> = []
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
        guard let (batch, bytes) = batches.first else {
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
            position = 0
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
        guard case .open = life else {
            rest.append(batch[...])
            return []
        }
        guard !batch.isEmpty else { return [] }
        batches.append((batch, bytes))
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
        for (batch, _) in batches {
            rest.append(batch[position...])
            position = 0
        }
        batches = []
        position = 0
        count = 0
        byteCount = 0
        defer { waiters = [] }
        return waiters.map(\.waiter)
    }

    /// The batch of which the next message is.
    var first: Batch? { batches.first?.messages }

    /// Takes the batches out, from the first on, of which this holds; returns what was not handed out of them.
    mutating func removeFirst(while isConcerned: (Batch) -> Bool) -> [Batch.SubSequence] {
        var removed: [Batch.SubSequence] = []
        while let (batch, bytes) = batches.first, isConcerned(batch) {
            removed.append(batch[position...])
            count -= batch.count - position
            byteCount -= bytes
            position = 0
            batches.removeFirst()
        }
        return removed
    }

    /// Takes what was not handed out, once nothing is any more.
    mutating func takeRest() -> [Batch.SubSequence] {
        guard case .ended = life else { return [] }
        defer { rest = [] }
        return rest
    }
}
