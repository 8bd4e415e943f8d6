internal import DequeModule

/// The batches that were read and not yet delivered, and the tasks that wait for a message while there is none.
///
/// It has no lock: its owner guards it with one, and resumes the continuations that it returns after unlocking.
///
/// - `open`: it accepts batches and delivers messages. Goes to `ending` or `ended`.
/// - `ending`: it accepts no more batches, delivers its messages, and then the error. Goes to `ended`.
/// - `ended`: it delivers nothing. `takeRest` returns its undelivered messages, and those that still arrive.
struct DeliveryQueue<Batch: RandomAccessCollection>: ~Copyable where Batch.Index == Int {
    typealias Message = Batch.Element
    typealias Waiter = CheckedContinuation<Result<Message?, RedisError>, Never>

    private enum State {
        case open
        case ending(RedisError)
        case ended
    }

    private var state: State = .open
    private var batches: Deque<(messages: Batch, bytes: Int, start: Int)> = []
    /// The undelivered messages at the end, and those that arrived later.
    private var rest: [Batch.SubSequence] = []
    /// The index of the next message in the first batch.
    private var position = 0
    private var waiters: Deque<(id: Int, waiter: Waiter)> = []
    /// The number of messages that wait to be delivered.
    private(set) var count = 0
    /// The bytes of the batches with a waiting message.
    private(set) var byteCount = 0

    /// The answer to a task that asks for a message.
    enum Next {
        case message(Message)
        case nothing
        case end
        case failure(RedisError)
    }

    /// The number of tasks that wait for a message.
    var waitingCount: Int { waiters.count }

    /// Delivers the next message.
    mutating func next() -> Next {
        if case .ended = state { return .end }
        guard let (batch, bytes, _) = batches.first else {
            guard case .ending(let error) = state else { return .nothing }
            state = .ended
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

    /// A task waits for a message.
    mutating func wait(_ id: Int, _ waiter: Waiter) {
        waiters.append((id, waiter))
    }

    /// A task no longer waits. Returns its continuation.
    mutating func removeWaiter(_ id: Int) -> Waiter? {
        guard let position = waiters.firstIndex(where: { $0.id == id }) else { return nil }
        return waiters.remove(at: position).waiter
    }

    /// Adds a batch with this many bytes. Returns which of its messages go to waiting tasks at once.
    mutating func append(_ batch: Batch, bytes: Int = 0) -> [(Waiter, Message)] {
        add(batch, bytes: bytes) { $0.batches.append((batch, bytes, 0)) }
    }

    /// Adds a batch before all waiting messages.
    mutating func prepend(_ batch: Batch, bytes: Int = 0) -> [(Waiter, Message)] {
        add(batch, bytes: bytes) { queue in
            // The batch that is partly delivered continues later from its position.
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
        guard case .open = state else {
            rest.append(batch[...])
            return []
        }
        guard !batch.isEmpty else { return [] }
        insert(&self)
        count += batch.count
        byteCount += bytes
        var deliveries: [(Waiter, Message)] = []
        while !waiters.isEmpty, case .message(let message) = next(), let (_, waiter) = waiters.popFirst() {
            deliveries.append((waiter, message))
        }
        return deliveries
    }

    /// No more batches arrive, because of `error`. The messages in the queue are still delivered. Returns the waiting
    /// tasks with their results.
    mutating func fail(_ error: RedisError) -> [(Waiter, Result<Message?, RedisError>)] {
        guard case .open = state else { return [] }
        state = .ending(error)
        guard let first = waiters.popFirst() else { return [] }
        // One task gets the error, the first that waits. The others get the end.
        state = .ended
        defer { waiters = [] }
        return [(first.waiter, .failure(error))] + waiters.map { ($0.waiter, .success(nil)) }
    }

    /// Ends at once, without delivering the messages in the queue. Returns the waiting tasks.
    mutating func end() -> [Waiter] {
        state = .ended
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

    /// Returns the lowest value among the batches with a waiting message.
    func minimum<Value: Comparable>(of value: (Batch) -> Value) -> Value? {
        batches.reduce(nil) { least, batch in
            let value = value(batch.messages)
            return least.map { min($0, value) } ?? value
        }
    }

    /// Removes the batches for which `isConcerned` holds, and returns their undelivered messages.
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

    /// Removes and returns the undelivered messages, once the queue has ended.
    mutating func takeRest() -> [Batch.SubSequence] {
        guard case .ended = state else { return [] }
        defer { rest = [] }
        return rest
    }
}
