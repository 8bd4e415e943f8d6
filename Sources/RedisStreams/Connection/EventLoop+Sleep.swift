internal import NIOCore
internal import Synchronization

extension EventLoop {
    /// Waits for `duration` by the clock of the event loop, which tests can turn by hand. Ends early on cancellation, and when
    /// somebody wakes `sleeper`.
    func sleep(
        for duration: Duration,
        as sleeper: Sleeper = Sleeper(),
        isolation: isolated (any Actor)? = #isolation
    ) async {
        await withTaskCancellationHandler {
            _ = isolation
            await withCheckedContinuation { continuation in
                let timer = self.scheduleTask(in: TimeAmount(duration)) { sleeper.wake() }
                sleeper.begin(continuation, timer)
            }
        } onCancel: {
            sleeper.wake()
        }
    }

    /// Waits for `duration`, cancelled or not.
    func sleepInAnyCase(for duration: Duration, isolation: isolated (any Actor)? = #isolation) async {
        await withCheckedContinuation { continuation in
            _ = self.scheduleTask(in: TimeAmount(duration)) { continuation.resume() }
        }
    }
}

/// A task that sleeps. It wakes once: by its timer, by cancellation, or because somebody wakes it, whichever is first.
final class Sleeper: Sendable {
    private struct State {
        var isAwake = false
        var continuation: CheckedContinuation<Void, Never>?
        var timer: Scheduled<Void>?
    }

    private let state = Mutex(State())

    fileprivate func begin(_ continuation: CheckedContinuation<Void, Never>, _ timer: Scheduled<Void>) {
        let isAwake = state.withLock { state in
            if !state.isAwake {
                state.continuation = continuation
                state.timer = timer
            }
            return state.isAwake
        }
        if isAwake {
            timer.cancel()
            continuation.resume()
        }
    }

    func wake() {
        let (continuation, timer) = state.withLock { state in
            state.isAwake = true
            return (state.continuation.take(), state.timer.take())
        }
        timer?.cancel()
        continuation?.resume()
    }
}
