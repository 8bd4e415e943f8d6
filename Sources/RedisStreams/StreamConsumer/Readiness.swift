internal import Synchronization

/// Lets tasks wait until the most recently started loop over a consumer knows its positions; see
/// `StreamConsumer.ready()`.
///
/// - `waiting`: the loop does not know its positions yet, or none has started. Goes to `ready`, or to `ended`.
/// - `ready`: the loop knows its positions. Goes to `ended`, and to `waiting` when another loop starts.
/// - `ended`: the loop has ended. Goes to `waiting` when another loop starts.
final class Readiness: Sendable {
    typealias Waiter = CheckedContinuation<Result<Void, RedisError>, Never>

    private enum Phase {
        case waiting
        case ready
        case ended(RedisError)

        var result: Result<Void, RedisError>? {
            switch self {
            case .waiting: nil
            case .ready: .success(())
            case .ended(let reason): .failure(reason)
            }
        }
    }

    private struct State {
        var phase = Phase.waiting
        /// The number of the most recently started loop.
        var loop = 0
        var waiters: [Int: Waiter] = [:]
        var lastWaiter = 0
    }

    private let state = Mutex(State())

    /// The error for tasks that wait when the loop ends without an error.
    static var loopEnded: RedisError {
        RedisError(.cancelled, "The loop over the consumer has ended.")
    }

    // MARK: Called by the loops

    /// Starts a loop, and returns its number.
    func begin() -> Int {
        state.withLock { state in
            state.loop += 1
            state.phase = .waiting
            return state.loop
        }
    }

    /// The loop knows its positions. Has no effect if another loop has started since.
    func ready(_ loop: Int) { enter(.ready, loop) }

    /// The loop has ended. Has no effect if another loop has started since.
    func ended(_ loop: Int, because reason: RedisError) { enter(.ended(reason), loop) }

    private func enter(_ phase: Phase, _ loop: Int) {
        guard let result = phase.result else { return }
        let waiters: [Waiter] = state.withLock { state in
            guard loop == state.loop else { return [] }
            state.phase = phase
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.resume(returning: result) }
    }

    // MARK: Called by waiting tasks

    func wait() async throws(RedisError) {
        let number = state.withLock { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
        let result: Result<Void, RedisError> = await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                let result: Result<Void, RedisError>? = state.withLock { state in
                    if Task.isCancelled { return .failure(Self.cancelled) }
                    if let result = state.phase.result { return result }
                    state.waiters[number] = waiter
                    return nil
                }
                if let result { waiter.resume(returning: result) }
            }
        } onCancel: {
            let waiter = state.withLock { $0.waiters.removeValue(forKey: number) }
            waiter?.resume(returning: .failure(Self.cancelled))
        }
        try result.get()
    }

    private static var cancelled: RedisError {
        RedisError(.cancelled, "The task was cancelled while it waited for the consumer to be ready.")
    }
}
