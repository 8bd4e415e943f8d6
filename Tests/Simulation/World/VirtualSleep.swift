import NIOCore

/// Waits on the virtual clock. Throws `CancellationError` when the task is cancelled.
func sleep(_ time: VirtualTime, on process: SimulatedProcess) async throws {
    let sleeper = Sleeper()
    try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { continuation in
            let timer = process.scheduler.at(process.scheduler.now + time, in: process) { sleeper.wake(nil) }
            sleeper.begin(continuation, timer)
        }
    } onCancel: {
        sleeper.wake(CancellationError())
    }
}

/// Resumes its continuation once.
///
// SAFETY: there is one thread.
private final class Sleeper: @unchecked Sendable {
    private var continuation: CheckedContinuation<Void, any Error>?
    private var timer: Scheduler.Timer?
    private var earlyEnd: (any Error)?

    func begin(_ continuation: CheckedContinuation<Void, any Error>, _ timer: Scheduler.Timer) {
        if let earlyEnd {
            timer.cancel()
            return continuation.resume(throwing: earlyEnd)
        }
        self.continuation = continuation
        self.timer = timer
    }

    func wake(_ error: (any Error)?) {
        timer?.cancel()
        guard let continuation = continuation.take() else { return earlyEnd = error }
        if let error { continuation.resume(throwing: error) } else { continuation.resume() }
    }
}
