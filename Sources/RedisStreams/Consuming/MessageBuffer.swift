internal import NIOCore
internal import Synchronization

/// What stands between the engine of a consumer, which reads batches, and the tasks that handle messages.
///
/// Bounded: the engine waits for room before it reads on.
final class MessageBuffer<Batch: RandomAccessCollection & Sendable>: Sendable
where Batch.Index == Int, Batch.Element: Sendable {
    typealias Message = Batch.Element
    typealias Next = DeliveryQueue<Batch>.Next

    private struct State: ~Copyable {
        var queue = DeliveryQueue<Batch>()
        /// What the one sequential reader has been given, and has not come back from.
        var handed: Message?
        var lastWaiter = 0
        var isStopping = false
        var hasFailed = false
        /// Up to how many messages, and how many bytes of them, may wait when the next read is sent.
        let prefetch: Int
        let bytes: Int
        /// For those who hold no more than handlers need for a while.
        var budget: PrefetchBudget?
        /// How many messages take up room that are handled, and cannot be settled for now.
        var heldBack = 0
        /// The engine waits for room.
        var awaitsRoom = false

        func room(besides count: Int = 0) -> Int {
            let waiting = queue.count + count
            guard waiting + heldBack <= prefetch, queue.byteCount <= bytes else { return 0 }
            return budget?.room(waiting: waiting, free: queue.waitingCount) ?? .max
        }

        /// Whether the engine has to be told that there is room now.
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
    ///   - prefetch: Up to how many messages may wait when the next read is sent.
    ///   - bytes: Up to how many bytes they may have.
    ///   - budget: Up to how many may wait, of those bounds, for how long handlers take. `nil` goes by the bounds alone.
    init(prefetch: Int, bytes: Int = .max, budget: PrefetchBudget? = nil) {
        state = Mutex(State(prefetch: prefetch, bytes: bytes, budget: budget))
    }

    // MARK: The side of the handlers

    /// The next message if it is there, and the one handed out before it. For one reader at a time.
    func advance() -> (previous: Message?, next: Next) {
        let (previous, next, hasRoom) = state.withLock { state in
            let previous = state.handed.take()
            let next = state.queue.next()
            if case .message(let message) = next { state.handed = message }
            return (previous, next, state.makesRoom())
        }
        if hasRoom { room.fire() }
        return (previous, next)
    }

    /// The message handed out last, which has been handled.
    func takeLastDelivered() -> Message? { state.withLock { $0.handed.take() } }

    /// The message handed out last was not taken.
    func withdraw() {
        state.withLock { $0.handed = nil }
    }

    /// Waits for the next message, and notes it as handed out. For one reader at a time.
    func nextInSequence() async throws(RedisError) -> Message? {
        let message = try await next()
        if let message { state.withLock { $0.handed = message } }
        return message
    }

    /// Waits for the next message. There is none at the end, and on cancellation. For any number of readers.
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

    /// Hands out nothing more. What is being handled is not touched.
    func stop() {
        let waiters = state.withLock { state in
            state.isStopping = true
            return state.queue.end()
        }
        for waiter in waiters { waiter.resume(returning: .success(nil)) }
        stopping.fire()
    }

    /// Takes the messages that were never handed out, after it was stopped.
    func takeRest() -> [Message] {
        state.withLock { $0.queue.takeRest() }.flatMap { Array($0) }
    }

    /// The message that the one sequential reader has been given, and has not come back from.
    var handed: Message? { state.withLock { $0.handed } }

    /// A handler took so long. Returns whether each is to be measured for now.
    func handled(in time: TimeAmount) -> Bool {
        state.withLock { state in
            state.budget?.handled(in: time)
            return state.budget?.measuresEach ?? false
        }
    }

    /// How many messages wait to be handed out.
    var waitingMessages: Int { state.withLock { $0.queue.count } }

    /// The least that there is of the batches of which a message waits.
    func minimum<Value: Comparable & Sendable>(of value: @Sendable (Batch) -> Value) -> Value? {
        state.withLock { $0.queue.minimum(of: value) }
    }

    /// Takes the batches out of which this holds: their messages have waited for so long.
    func remove(waitedFor time: TimeAmount, where isConcerned: @Sendable (Batch) -> Bool) -> [Message] {
        let (removed, hasRoom) = state.withLock { state in
            let removed = state.queue.remove(where: isConcerned).flatMap { Array($0) }
            if !removed.isEmpty { state.budget?.waited(for: time) }
            return (removed, state.makesRoom())
        }
        if hasRoom { room.fire() }
        return removed
    }

    /// How many wait for a message.
    var waitingCount: Int { state.withLock { $0.queue.waitingCount } }

    // MARK: The side of the engine

    var isStopping: Bool { state.withLock { $0.isStopping } }

    /// Whether it ended with an error.
    var hasFailed: Bool { state.withLock { $0.hasFailed } }

    /// Runs the part of an engine that reads. When the buffer stops, runs `ending`, in which the reading may end by itself,
    /// and then cancels it, whatever it waits for.
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

    /// Waits until there is room for another batch. Returns `false` when stopped, and on cancellation.
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

    /// Whether there is room for a batch, and for `count` messages that are on their way.
    func hasRoom(besides count: Int) -> Bool { room(besides: count) > 0 }

    /// How many messages may be asked for, besides `count` that are on their way.
    func room(besides count: Int) -> Int {
        state.withLock { $0.isStopping ? 0 : $0.room(besides: count) }
    }

    /// So many messages take up room although they are handled.
    func setHeldBack(_ count: Int) {
        let hasRoom = state.withLock { state in
            state.heldBack = count
            return state.makesRoom()
        }
        if hasRoom { room.fire() }
    }

    /// Adds a batch; before all that waits, if it is urgent.
    func deliver(_ batch: Batch, bytes: Int = 0, isUrgent: Bool = false) {
        let handed = state.withLock { state in
            isUrgent ? state.queue.prepend(batch, bytes: bytes) : state.queue.append(batch, bytes: bytes)
        }
        for (waiter, message) in handed { waiter.resume(returning: .success(message)) }
    }

    /// Ends with an error, which is thrown once everything that is there has been handed out.
    func fail(_ error: RedisError) {
        let told = state.withLock { state in
            state.isStopping = true
            state.hasFailed = true
            return state.queue.fail(error)
        }
        for (waiter, result) in told { waiter.resume(returning: result) }
        stopping.fire()
    }
}
