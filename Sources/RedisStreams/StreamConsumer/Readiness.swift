internal import Synchronization

/// Tells whoever waits that the loop begun last knows where it reads from.
///
/// - `waiting`: the loop does not know yet, or there is none. Goes to `ready`, or to `ended`.
/// - `ready`: it knows. Goes to `ended`, and to `waiting` when another loop begins.
/// - `ended`: it has ended. Goes to `waiting` when another loop begins.
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
        /// The number of the loop begun last.
        var loop = 0
        var waiters: [Int: Waiter] = [:]
        var lastWaiter = 0
    }

    private let state = Mutex(State())

    /// What those are told who wait for a loop that was left.
    static var left: RedisError {
        RedisError(.cancelled, "The loop over the consumer has ended.")
    }

    // MARK: The side of the loops

    /// A loop begins. Returns its number.
    func begin() -> Int {
        state.withLock { state in
            state.loop += 1
            state.phase = .waiting
            return state.loop
        }
    }

    /// A loop knows where it reads from.
    func ready(_ loop: Int) { enter(.ready, loop) }

    /// A loop has ended.
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

    // MARK: The side of those who wait

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
        RedisError(.cancelled, "The task was cancelled while it waited for a loop to be ready.")
    }
}
