internal import Synchronization

/// A value that is set once, and that any number of tasks can wait for.
final class Promise<Value: Sendable>: Sendable {
    typealias Outcome = Result<Value, RedisError>

    private enum State {
        case waiting([CheckedContinuation<Outcome, Never>])
        case fulfilled(Outcome)
    }

    private let state = Mutex(State.waiting([]))
    private let isWanted = Atomic(false)

    /// Whether a task has waited for the value.
    var wasAwaited: Bool { isWanted.load(ordering: .relaxed) }

    /// Sets the value. Later values are ignored: then this returns `false`.
    @discardableResult
    func fulfill(_ outcome: Outcome) -> Bool {
        let waiters: [CheckedContinuation<Outcome, Never>]? = state.withLock { state in
            guard case .waiting(let waiters) = state else { return nil }
            state = .fulfilled(outcome)
            return waiters
        }
        for waiter in waiters ?? [] { waiter.resume(returning: outcome) }
        return waiters != nil
    }

    /// Waits for the value, even if the task is cancelled.
    func value() async throws(RedisError) -> Value {
        isWanted.store(true, ordering: .relaxed)
        let outcome: Outcome = await withCheckedContinuation { continuation in
            let ready: Outcome? = state.withLock { state in
                switch state {
                case .fulfilled(let outcome): return outcome
                case .waiting(let waiters):
                    state = .waiting(waiters + [continuation])
                    return nil
                }
            }
            if let ready { continuation.resume(returning: ready) }
        }
        return try outcome.get()
    }
}
