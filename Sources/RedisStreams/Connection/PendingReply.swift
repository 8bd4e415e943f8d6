internal import Synchronization

/// The reply to a single command, and the task that waits for it: what most commands need, and the only allocation that
/// waiting costs them.
///
/// A waiter that is cancelled goes away at once; the command keeps its place, and its reply is dropped here.
///
// SAFETY: `continuation` is written once, before `state` becomes `waiting`, and read by the one who takes it from there.
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
            // Captured, or else the closure runs elsewhere: two changes of threads for an actor on an event loop.
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

    /// A task waits. Returns `false` if it was cancelled before: then nothing is to be sent, and the waiter is still the
    /// caller's.
    private func begin(_ waiter: Waiter) -> Bool {
        unsafe continuation = waiter
        return state.compareExchange(expected: Self.idle, desired: Self.waiting, ordering: .acquiringAndReleasing)
            .exchanged
    }

    /// The reply, or why there is none. Later ones are dropped.
    func deliver(_ outcome: Outcome) {
        guard take() else { return }
        unsafe continuation?.resume(returning: outcome)
    }

    /// The task does not wait any more.
    private func cancel() {
        guard take() else { return }
        unsafe continuation?.resume(returning: .failure(.cancelledWaiting(mayHaveExecuted: true)))
    }

    /// Whether somebody waits, who is the caller's to resume now.
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
