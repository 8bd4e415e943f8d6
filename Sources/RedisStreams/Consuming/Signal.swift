internal import Synchronization

/// Wakes the one task that waits. A signal that comes before the wait is remembered, several count as one.
final class Signal: Sendable {
    private enum State {
        case quiet
        case signalled
        case waiting(CheckedContinuation<Void, Never>)
    }

    private let state = Mutex(State.quiet)

    /// Wakes who waits, or who waits next.
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
            // Captured, or else the closure runs elsewhere: two changes of threads for an actor on an event loop.
            _ = isolation
            await waitInAnyCase()
        } onCancel: {
            fire()
        }
    }

    /// Returns after the next signal, cancelled or not.
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
