internal import Synchronization

/// Where one worker notes which message it handles, so that its task can be cancelled when the message is lost.
///
/// A task that was cancelled stays so: its worker ends with that message, and another one takes its place.
final class HandlerSlot: Sendable {
    private struct State: ~Copyable {
        var handled: HeldPosition?
        var task: Handle?
        var isCancelled = false
    }

    // SAFETY: an `UnsafeCurrentTask` may be cancelled from anywhere while its task is alive, and it is taken out of the
    // slot, under its lock, before the task ends.
    @safe private struct Handle: @unchecked Sendable {
        private let task: UnsafeCurrentTask

        init(_ task: UnsafeCurrentTask) { unsafe self.task = task }

        func cancel() { unsafe task.cancel() }
    }

    private let state = Mutex(State())

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
        defer { state.withLock { $0.task = nil } }
        return try await worker()
    }

    /// The worker begins to handle a message.
    func begin(_ batch: DeliveredBatch, _ position: Int) {
        state.withLock { $0.handled = HeldPosition(batch: batch, position: position) }
    }

    /// The worker has handled it. Returns whether its task was cancelled because of that message.
    func end() -> Bool {
        state.withLock { state in
            state.handled = nil
            return state.isCancelled
        }
    }

    /// Cancels the task if it handles this message.
    func cancel(_ lost: HeldPosition) {
        state.withLock { state in
            guard state.handled?.isSame(as: lost) == true else { return }
            state.isCancelled = true
            state.task?.cancel()
        }
    }

    /// Cancels the task if it handles a message.
    func cancelIfHandling() {
        state.withLock { state in
            guard state.handled != nil else { return }
            state.isCancelled = true
            state.task?.cancel()
        }
    }
}
