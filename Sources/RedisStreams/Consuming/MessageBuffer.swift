internal import NIOCore
internal import Synchronization

/// The buffer between the engine of a consumer, which reads batches, and the tasks that handle messages.
///
/// It is bounded: the engine waits for room before it sends the next read.
final class MessageBuffer<Batch: RandomAccessCollection & Sendable>: Sendable
where Batch.Index == Int, Batch.Element: Sendable {
    typealias Message = Batch.Element
    typealias Next = DeliveryQueue<Batch>.Next

    private struct State: ~Copyable {
        var queue = DeliveryQueue<Batch>()
        /// The message that was delivered last to the sequential reader, until that reader asks for the next one.
        var lastDelivered: Message?
        var lastWaiter = 0
        var isStopping = false
        var hasFailed = false
        /// The next read is sent while at most this many messages, with at most this many bytes, wait.
        let prefetch: Int
        let bytes: Int
        /// Lowers the bound to what the handlers need for a while; `nil` if only the bounds count.
        var budget: PrefetchBudget?
        /// How many handled messages count as waiting, because their settlement is held back.
        var heldBack = 0
        /// Whether the engine waits for room.
        var awaitsRoom = false

        func room(besides count: Int = 0) -> Int {
            let waiting = queue.count + count
            guard waiting + heldBack <= prefetch, queue.byteCount <= bytes else { return 0 }
            return budget?.room(waiting: waiting, free: queue.waitingCount) ?? .max
        }

        /// Returns whether the engine waits and there is room now, so that it has to be woken.
        mutating func makesRoom() -> Bool {
            guard awaitsRoom, room() > 0 else { return false }
            awaitsRoom = false
            return true
        }
    }

    private let state: Mutex<State>
    private let room = Signal()
    private let stopping = Signal()

    /// - Parameters:
    ///   - prefetch: The next read is sent while at most this many messages wait.
    ///   - bytes: The next read is sent while the waiting messages have at most this many bytes.
    ///   - budget: Lowers these bounds, depending on how long handlers take. With `nil`, only the bounds count.
    init(prefetch: Int, bytes: Int = .max, budget: PrefetchBudget? = nil) {
        state = Mutex(State(prefetch: prefetch, bytes: bytes, budget: budget))
    }

    // MARK: Called by the handlers

    /// Returns the next message if there is one, and the message delivered before it. For one reader at a time.
    func advance() -> (previous: Message?, next: Next) {
        let (previous, next, hasRoom) = state.withLock { state in
            let previous = state.lastDelivered.take()
            let next = state.queue.next()
            if case .message(let message) = next { state.lastDelivered = message }
            return (previous, next, state.makesRoom())
        }
        if hasRoom { room.fire() }
        return (previous, next)
    }

    /// Removes and returns the last delivered message, which has been handled.
    func takeLastDelivered() -> Message? { state.withLock { $0.lastDelivered.take() } }

    /// The last delivered message was not handled, or not passed on.
    func discardLastDelivered() {
        state.withLock { $0.lastDelivered = nil }
    }

    /// Waits for the next message, and remembers it as the last delivered one. For one reader at a time.
    func nextInSequence() async throws(RedisError) -> Message? {
        let message = try await next()
        if let message { state.withLock { $0.lastDelivered = message } }
        return message
    }

    /// Waits for the next message. Returns `nil` at the end, and on cancellation. For any number of readers.
    func next() async throws(RedisError) -> Message? {
        if Task.isCancelled { return nil }
        let (next, hasRoom, id) = state.withLock { state in
            let next = state.queue.next()
            state.lastWaiter += 1
            return (next, state.makesRoom(), state.lastWaiter)
        }
        if hasRoom { room.fire() }
        switch next {
        case .message(let message): return message
        case .end: return nil
        case .failure(let error): throw error
        case .nothing: return try await wait(id)
        }
    }

    private func wait(
        _ id: Int,
        isolation: isolated (any Actor)? = #isolation
    ) async throws(RedisError) -> Message? {
        let result: Result<Message?, RedisError> = await withTaskCancellationHandler {
            _ = isolation
            return await withCheckedContinuation { continuation in
                let (ready, hasRoom) = state.withLock { state -> (Result<Message?, RedisError>?, Bool) in
                    if Task.isCancelled { return (.success(nil), false) }
                    switch state.queue.next() {
                    case .message(let message): return (.success(message), false)
                    case .end: return (.success(nil), false)
                    case .failure(let error): return (.failure(error), false)
                    case .nothing:
                        state.queue.wait(id, continuation)
                        return (nil, state.makesRoom())
                    }
                }
                if let ready { continuation.resume(returning: ready) }
                if hasRoom { room.fire() }
            }
        } onCancel: {
            state.withLock { $0.queue.removeWaiter(id) }?.resume(returning: .success(nil))
        }
        if state.withLock({ $0.makesRoom() }) { room.fire() }
        return try result.get()
    }

    /// Stops delivering messages. Handlers at work are not affected.
    func stop() {
        let waiters = state.withLock { state in
            state.isStopping = true
            return state.queue.end()
        }
        for waiter in waiters { waiter.resume(returning: .success(nil)) }
        stopping.fire()
    }

    /// Removes and returns the messages that were never delivered, once the buffer has stopped.
    func takeRest() -> [Message] {
        state.withLock { $0.queue.takeRest() }.flatMap { Array($0) }
    }

    /// The message that was delivered last to the sequential reader, until that reader asks for the next one.
    var lastDelivered: Message? { state.withLock { $0.lastDelivered } }

    /// A handler took this long. Returns whether every handler call should be measured for now.
    func handled(in time: TimeAmount) -> Bool {
        state.withLock { state in
            state.budget?.handled(in: time)
            return state.budget?.measuresEach ?? false
        }
    }

    /// The number of messages that wait to be delivered.
    var waitingMessages: Int { state.withLock { $0.queue.count } }

    /// Returns the lowest value among the batches with a waiting message.
    func minimum<Value: Comparable & Sendable>(of value: @Sendable (Batch) -> Value) -> Value? {
        state.withLock { $0.queue.minimum(of: value) }
    }

    /// Removes the batches for which `isConcerned` holds, and returns their waiting messages, which have waited for
    /// `time`.
    func remove(waitedFor time: TimeAmount, where isConcerned: @Sendable (Batch) -> Bool) -> [Message] {
        let (removed, hasRoom) = state.withLock { state in
            let removed = state.queue.remove(where: isConcerned).flatMap { Array($0) }
            if !removed.isEmpty { state.budget?.waited(for: time) }
            return (removed, state.makesRoom())
        }
        if hasRoom { room.fire() }
        return removed
    }

    /// The number of tasks that wait for a message.
    var waitingCount: Int { state.withLock { $0.queue.waitingCount } }

    // MARK: Called by the engine

    /// Whether the buffer has stopped, or ended with an error.
    var isStopping: Bool { state.withLock { $0.isStopping } }

    /// Whether the buffer ended with an error.
    var hasFailed: Bool { state.withLock { $0.hasFailed } }

    /// Runs `read`, the reading part of an engine. When the buffer stops, runs `ending`, during which the reading may
    /// end by itself, and then cancels the reading, whatever it waits for.
    func whileOpen(
        _ read: @escaping @Sendable () async -> Void,
        ending: @escaping @Sendable () async -> Void = {}
    ) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await read() }
            group.addTask {
                await self.stopping.wait()
                await ending()
            }
            await group.next()
            group.cancelAll()
        }
    }

    /// Waits until there is room for another batch. Returns `false` once the buffer has stopped, and on cancellation.
    func waitForRoom() async -> Bool {
        while true {
            let (hasRoom, isStopping) = state.withLock { state in
                state.awaitsRoom = state.room() == 0
                return (!state.awaitsRoom, state.isStopping)
            }
            if isStopping || Task.isCancelled { return false }
            if hasRoom { return true }
            await room.wait()
        }
    }

    /// Whether there is room for a batch, besides `count` messages that were asked for or have arrived.
    func hasRoom(besides count: Int) -> Bool { room(besides: count) > 0 }

    /// Returns how many messages may be asked for, besides `count` that were asked for or have arrived.
    func room(besides count: Int) -> Int {
        state.withLock { $0.isStopping ? 0 : $0.room(besides: count) }
    }

    /// Counts this many handled messages as waiting.
    func setHeldBack(_ count: Int) {
        let hasRoom = state.withLock { state in
            state.heldBack = count
            return state.makesRoom()
        }
        if hasRoom { room.fire() }
    }

    /// Adds a batch: before all waiting messages if it is urgent, else after them.
    func deliver(_ batch: Batch, bytes: Int = 0, isUrgent: Bool = false) {
        let deliveries = state.withLock { state in
            isUrgent ? state.queue.prepend(batch, bytes: bytes) : state.queue.append(batch, bytes: bytes)
        }
        for (waiter, message) in deliveries { waiter.resume(returning: .success(message)) }
    }

    /// Ends the buffer with an error, which is thrown after all waiting messages were delivered.
    func fail(_ error: RedisError) {
        let resumed = state.withLock { state in
            state.isStopping = true
            state.hasFailed = true
            return state.queue.fail(error)
        }
        for (waiter, result) in resumed { waiter.resume(returning: result) }
        stopping.fire()
    }
}
