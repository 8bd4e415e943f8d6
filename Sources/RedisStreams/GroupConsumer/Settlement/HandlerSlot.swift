internal import NIOCore
internal import Synchronization

/// Where one worker notes which message it handles, so that its task can be cancelled when the message is lost, and so that
/// handlers that run for long are seen.
///
/// A task that was cancelled stays so: its worker ends with that message, and another one takes its place.
final class HandlerSlot: Sendable {
    fileprivate struct State: ~Copyable {
        var handled: HeldPosition?
        /// When that began; `nil` if nobody has looked at the clock.
        var began: NIODeadline?
        /// After which time the next warning is due, and for which message.
        var warning: (handled: HeldPosition, after: TimeAmount)?
        var task: Handle?
        var isCancelled = false
        /// How many are cancelling the task at this moment.
        var cancellers = 0
        /// The worker, which waits until nobody is.
        var leaving: CheckedContinuation<Void, Never>?
    }

    // SAFETY: an `UnsafeCurrentTask` may be cancelled from anywhere while its task is alive, and the task does not end before
    // everybody who took it out of the slot is done with it.
    @safe fileprivate struct Handle: @unchecked Sendable {
        private let task: UnsafeCurrentTask

        init(_ task: UnsafeCurrentTask) { unsafe self.task = task }

        func cancel() { unsafe task.cancel() }
    }

    private let state = Mutex(State())

    private let storedNumber = Atomic(0)

    /// Its number among those of its session.
    var number: Int {
        get { storedNumber.load(ordering: .relaxed) }
        set { storedNumber.store(newValue, ordering: .relaxed) }
    }

    /// The id of the message that is handled.
    var handledID: StreamID? { state.withLock { $0.handled?.id } }

    /// Whether a message is handled that was lost to another consumer, or with its group.
    var handlesLostMessage: Bool { state.withLock { $0.handled?.batch.mayHaveLosses == true } }

    /// Runs a worker, whose task is the current one.
    func occupied<Result: Sendable>(by worker: () async throws -> Result) async throws -> Result {
        unsafe withUnsafeCurrentTask { task in
            let handle = unsafe task.map { unsafe Handle($0) }
            state.withLock { $0.task = handle }
        }
        do {
            let result = try await worker()
            await leave()
            return result
        } catch {
            await leave()
            throw error
        }
    }

    private func leave() async {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                state.task = nil
                if state.cancellers > 0 { state.leaving = continuation }
                return state.cancellers == 0
            }
            if isFree { continuation.resume() }
        }
    }

    /// The worker begins to handle a message, at this time if somebody has looked at the clock.
    func begin(_ batch: DeliveredBatch, _ position: Int, at time: NIODeadline? = nil) {
        state.withLock { state in
            state.handled = HeldPosition(batch: batch, position: position)
            state.began = time
        }
    }

    /// The worker has handled it. Returns whether its task was cancelled because of that message.
    @discardableResult
    func end() -> Bool {
        state.withLock { state in
            state.handled = nil
            return state.isCancelled
        }
    }

    // MARK: Cancelling

    /// Cancels the task if it handles one of these messages.
    func cancel(ifHandling lost: Set<HeldPosition>) { cancel { lost.contains($0) } }

    /// Cancels the task if it handles a message.
    func cancelIfHandling() { cancel { _ in true } }

    /// Not under the lock: what a handler does on cancellation may ask for what the lock guards.
    private func cancel(if isConcerned: (HeldPosition) -> Bool) {
        let task: Handle? = state.withLock { state in
            guard let handled = state.handled, isConcerned(handled) else { return nil }
            state.isCancelled = true
            if state.task != nil { state.cancellers += 1 }
            return state.task
        }
        guard let task else { return }
        task.cancel()
        let leaving = state.withLock { state in
            state.cancellers -= 1
            return state.cancellers == 0 ? state.leaving.take() : nil
        }
        leaving?.resume()
    }

    // MARK: How long handlers run

    /// For how long the message has been handled; `nil` if none is. Where nobody looked at the clock when it began, the time
    /// counts from the first time that this is asked.
    func age(at now: NIODeadline) -> TimeAmount? {
        state.withLock { $0.age(at: now) }
    }

    /// The message, and for how long it has been handled, if that is longer than `first`, or than twice the time that was
    /// returned for it the last time.
    func overdue(at now: NIODeadline, after first: TimeAmount) -> (id: StreamID, age: TimeAmount)? {
        state.withLock { state in
            guard let age = state.age(at: now), let handled = state.handled else { return nil }
            if state.warning?.handled != handled { state.warning = (handled, first) }
            guard let due = state.warning?.after, age >= due else { return nil }
            state.warning = (handled, .nanoseconds(max(due.nanoseconds, age.nanoseconds / 2 + 1) * 2))
            return (handled.id, age)
        }
    }

    /// A loop was seen to handle this message, or none.
    func observe(_ handled: HeldPosition?) {
        state.withLock { state in
            if let handled, state.handled == handled { return }
            state.handled = handled
            state.began = nil
        }
    }
}

extension HandlerSlot.State {
    fileprivate mutating func age(at now: NIODeadline) -> TimeAmount? {
        guard handled != nil else { return nil }
        let began = began ?? now
        self.began = began
        return max(.zero, now - began)
    }
}
