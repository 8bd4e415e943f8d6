internal import Synchronization

/// Wakes the one task that waits. A signal before the wait is remembered; several signals count as one.
final class Signal: Sendable {
    private enum State {
        case quiet
        case signalled
        case waiting(CheckedContinuation<Void, Never>)
    }

    private let state = Mutex(State.quiet)

    /// Wakes the waiting task, or lets the next wait return at once.
    func fire() {
        let waiter: CheckedContinuation<Void, Never>? = state.withLock { state in
            switch state {
            case .quiet, .signalled:
                state = .signalled
                return nil
            case .waiting(let continuation):
                state = .quiet
                return continuation
            }
        }
        waiter?.resume()
    }

    /// Returns after the next signal, or on cancellation.
    func wait(isolation: isolated (any Actor)? = #isolation) async {
        await withTaskCancellationHandler {
            // Without this capture the closure leaves the actor: two thread switches for an actor on an event loop.
            _ = isolation
            await waitInAnyCase()
        } onCancel: {
            fire()
        }
    }

    /// Returns after the next signal, and does not react to cancellation.
    func waitInAnyCase() async {
        await withCheckedContinuation { continuation in
            let isSignalled = state.withLock { state in
                if case .signalled = state {
                    state = .quiet
                    return true
                }
                state = .waiting(continuation)
                return false
            }
            if isSignalled { continuation.resume() }
        }
    }
}
