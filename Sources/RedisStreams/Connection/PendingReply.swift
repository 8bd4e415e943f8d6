internal import Synchronization

/// The reply to a single command, and the task that waits for it. It is the only allocation that waiting for one command
/// costs.
///
/// A task that is cancelled returns at once; the command keeps its place in the order of the connection, and its reply is
/// dropped here.
///
// SAFETY: `continuation` is written once, before `state` becomes `waiting`, and read by whoever takes the state from there.
@safe final class PendingReply: @unchecked Sendable {
    typealias Outcome = PendingReplies.Outcome
    typealias Waiter = UnsafeContinuation<Outcome, Never>

    private static let idle: UInt8 = 0
    private static let waiting: UInt8 = 1
    private static let done: UInt8 = 2

    private let state = Atomic(PendingReply.idle)
    private var continuation: Waiter?

    /// Calls `submit`, which may refuse, and waits for the outcome. If the task is cancelled before, nothing is submitted.
    func outcome(
        isolation: isolated (any Actor)? = #isolation,
        _ submit: () -> RedisError?
    ) async -> Outcome {
        await withTaskCancellationHandler {
            // Without the capture the closure would leave the actor: two changes of threads for one on an event loop.
            _ = isolation
            return await unsafe withUnsafeContinuation { waiter in
                guard unsafe begin(waiter) else {
                    return unsafe waiter.resume(returning: .failure(.cancelledWaiting(mayHaveExecuted: false)))
                }
                if let refusal = submit() { deliver(.failure(refusal)) }
            }
        } onCancel: {
            cancel()
        }
    }

    /// Registers the waiting task. Returns `false` if it was cancelled before: then the caller sends nothing, and resumes the
    /// task itself.
    private func begin(_ waiter: Waiter) -> Bool {
        unsafe continuation = waiter
        return state.compareExchange(expected: Self.idle, desired: Self.waiting, ordering: .acquiringAndReleasing)
            .exchanged
    }

    /// Resumes the waiting task with the reply, or the reason why there is none. Later outcomes are dropped.
    func deliver(_ outcome: Outcome) {
        guard take() else { return }
        unsafe continuation?.resume(returning: outcome)
    }

    /// Resumes the waiting task with a `cancelled` error.
    private func cancel() {
        guard take() else { return }
        unsafe continuation?.resume(returning: .failure(.cancelledWaiting(mayHaveExecuted: true)))
    }

    /// Returns whether a task waits, which the caller alone may and must resume now.
    private func take() -> Bool {
        state.exchange(Self.done, ordering: .acquiringAndReleasing) == Self.waiting
    }
}

extension RedisError {
    /// The error of a task that was cancelled while its command was under way, or before that was sent.
    static func cancelledWaiting(mayHaveExecuted: Bool) -> RedisError {
        RedisError(
            .cancelled,
            mayHaveExecuted
                ? "The task was cancelled while it waited for the reply."
                : "The task was cancelled before the command was sent.",
            mayHaveExecuted: mayHaveExecuted
        )
    }
}
