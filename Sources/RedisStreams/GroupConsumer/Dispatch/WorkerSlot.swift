internal import NIOCore
internal import Synchronization

/// The message that one worker handles, so that the consumer can cancel the task of the worker when the message is
/// lost, and can report handlers that run for long.
///
/// A cancelled task stays cancelled: its worker ends after that message, and another worker replaces it.
final class WorkerSlot: Sendable {
    fileprivate struct State: ~Copyable {
        var handled: HeldPosition?
        /// When the handler began; `nil` if the clock was not read then.
        var began: NIODeadline?
        /// After which time the next warning follows, and for which message.
        var warning: (handled: HeldPosition, after: TimeAmount)?
        var task: Handle?
        var isCancelled = false
        /// How many calls cancel the task at this moment.
        var cancellers = 0
        /// The worker, which waits with its end for these calls.
        var endingWorker: CheckedContinuation<Void, Never>?
    }

    // SAFETY: an `UnsafeCurrentTask` may be cancelled from anywhere while its task exists, and the task does not end
    // before every call that took it out of the slot has returned.
    @safe fileprivate struct Handle: @unchecked Sendable {
        private let task: UnsafeCurrentTask

        init(_ task: UnsafeCurrentTask) { unsafe self.task = task }

        func cancel() { unsafe task.cancel() }
    }

    private let state = Mutex(State())

    private let storedNumber = Atomic(0)

    /// The number of the slot, by which its dispatcher finds it.
    var number: Int {
        get { storedNumber.load(ordering: .relaxed) }
        set { storedNumber.store(newValue, ordering: .relaxed) }
    }

    /// The id of the message that the worker handles.
    var handledID: StreamID? { state.withLock { $0.handled?.id } }

    /// Whether the worker handles a message of a batch from which messages were lost, to another consumer or with the
    /// group.
    var handlesLostMessage: Bool { state.withLock { $0.handled?.batch.mayHaveLosses == true } }

    /// Runs a worker, whose task is the current one.
    func occupied<Result: Sendable>(by worker: () async throws -> Result) async throws -> Result {
        unsafe withUnsafeCurrentTask { task in
            let handle = unsafe task.map { unsafe Handle($0) }
            state.withLock { $0.task = handle }
        }
        do {
            let result = try await worker()
            await waitForCancellers()
            return result
        } catch {
            await waitForCancellers()
            throw error
        }
    }

    /// Takes the task out of the slot, and waits until no call cancels it any more.
    private func waitForCancellers() async {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                state.task = nil
                if state.cancellers > 0 { state.endingWorker = continuation }
                return state.cancellers == 0
            }
            if isFree { continuation.resume() }
        }
    }

    /// The worker begins to handle a message, at `time` if the clock was read.
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

    /// Cancels the task outside of the lock: a cancellation handler of the user may call what needs the lock.
    private func cancel(if isAffected: (HeldPosition) -> Bool) {
        let task: Handle? = state.withLock { state in
            guard let handled = state.handled, isAffected(handled) else { return nil }
            state.isCancelled = true
            if state.task != nil { state.cancellers += 1 }
            return state.task
        }
        guard let task else { return }
        task.cancel()
        let endingWorker = state.withLock { state in
            state.cancellers -= 1
            return state.cancellers == 0 ? state.endingWorker.take() : nil
        }
        endingWorker?.resume()
    }

    // MARK: How long handlers run

    /// For how long the worker has handled its message; `nil` if it has none. If the clock was not read when the
    /// handler began, the time counts from the first call of this method.
    func age(at now: NIODeadline) -> TimeAmount? {
        state.withLock { $0.age(at: now) }
    }

    /// The message, and for how long the worker has handled it, if that is longer than `first`, or than twice the time
    /// that the last call returned for it.
    func overdue(at now: NIODeadline, after first: TimeAmount) -> (id: StreamID, age: TimeAmount)? {
        state.withLock { state in
            guard let age = state.age(at: now), let handled = state.handled else { return nil }
            if state.warning?.handled != handled { state.warning = (handled, first) }
            guard let due = state.warning?.after, age >= due else { return nil }
            state.warning = (handled, .nanoseconds(max(due.nanoseconds, age.nanoseconds / 2 + 1) * 2))
            return (handled.id, age)
        }
    }

    /// Sets the message that a loop handles now; `nil` for none.
    func observe(_ handled: HeldPosition?) {
        state.withLock { state in
            if let handled, state.handled == handled { return }
            state.handled = handled
            state.began = nil
        }
    }
}

extension WorkerSlot.State {
    fileprivate mutating func age(at now: NIODeadline) -> TimeAmount? {
        guard handled != nil else { return nil }
        let began = began ?? now
        self.began = began
        return max(.zero, now - began)
    }
}
