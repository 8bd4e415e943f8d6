internal import Synchronization

/// The replies to commands that were sent together, while they arrive.
///
/// The connection delivers the replies, and one task may wait for them. A task that is cancelled returns at once; the
/// commands keep their place in the order of the connection, and their replies are dropped here.
final class PendingReplies: Sendable {
    typealias Outcome = Result<RedisReply, RedisError>
    private typealias Waiter = CheckedContinuation<[Outcome], Never>

    private struct State: ~Copyable {
        var outcomes: [Outcome] = []
        var waiter: Waiter?
        var isAbandoned = false
    }

    private let count: Int
    private let state = Mutex(State())

    init(count: Int) {
        self.count = count
    }

    /// Whether the waiting task has left before all replies came.
    var isAbandoned: Bool { state.withLock { $0.isAbandoned } }

    /// Adds the next reply, in the order of the commands.
    func deliver(_ outcome: Outcome) {
        let ready: (Waiter, [Outcome])? = state.withLock { state in
            if state.isAbandoned { return nil }
            state.outcomes.append(outcome)
            guard state.outcomes.count == count, let waiter = state.waiter.take() else { return nil }
            return (waiter, state.outcomes)
        }
        if let (waiter, outcomes) = ready { waiter.resume(returning: outcomes) }
    }

    /// Waits for all the replies. On cancellation it returns those that have come, and `cancelled` errors for
    /// the others; if there are others, it calls `onCancel`.
    func outcomes(
        isolation: isolated (any Actor)? = #isolation,
        onCancel: @escaping @Sendable () -> Void
    ) async -> [Outcome] {
        await withTaskCancellationHandler {
            // Without the capture the closure would leave the actor: two changes of threads for one on an event loop.
            _ = isolation
            return await outcomesInAnyCase()
        } onCancel: {
            if abandon() { onCancel() }
        }
    }

    /// Waits for all the replies, cancelled or not.
    func outcomesInAnyCase() async -> [Outcome] {
        await withCheckedContinuation { continuation in
            let ready: [Outcome]? = state.withLock { state in
                if state.isAbandoned || state.outcomes.count == count { return completed(state.outcomes) }
                state.waiter = continuation
                return nil
            }
            if let ready { continuation.resume(returning: ready) }
        }
    }

    /// Drops the replies that have not come yet: the waiting task gets `cancelled` errors in their place. Returns whether
    /// there are such replies.
    @discardableResult
    func abandon() -> Bool {
        let (isAbandoned, waiter, outcomes) = state.withLock { state in
            if state.outcomes.count < count { state.isAbandoned = true }
            return (state.isAbandoned, state.isAbandoned ? state.waiter.take() : nil, state.outcomes)
        }
        waiter?.resume(returning: completed(outcomes))
        return isAbandoned
    }

    private func completed(_ outcomes: [Outcome]) -> [Outcome] {
        guard outcomes.count < count else { return outcomes }
        let error = RedisError.cancelledWaiting(mayHaveExecuted: true)
        return outcomes + Array(repeating: .failure(error), count: count - outcomes.count)
    }
}
