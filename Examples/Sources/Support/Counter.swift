import Synchronization

/// A number that many tasks add to.
package final class Counter: Sendable {
    private let state = Mutex((total: 0, reported: 0))

    package init() {}

    /// The current number.
    package var total: Int { state.withLock { $0.total } }

    /// Adds one.
    package func increment() {
        state.withLock { $0.total += 1 }
    }

    /// How much it has grown since the last call.
    package func growth() -> Int {
        state.withLock { state in
            defer { state.reported = state.total }
            return state.total - state.reported
        }
    }
}

/// Runs `body`, and cancels it when `counter` has not grown for 15 seconds.
package func cancelledWhenIdle<Result: Sendable>(
    _ counter: Counter,
    _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result {
    try await withThrowingTaskGroup(of: Result?.self) { tasks in
        tasks.addTask { try await body() }
        tasks.addTask {
            repeat { try await Task.sleep(for: .seconds(15)) } while counter.growth() > 0
            return nil
        }
        for try await result in tasks {
            tasks.cancelAll()
            if let result { return result }
        }
        throw CancellationError()
    }
}
