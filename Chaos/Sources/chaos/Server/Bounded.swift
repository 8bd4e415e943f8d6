import ChaosWork
import Synchronization

/// Runs an operation for at most `limit`. One that ignores its cancellation goes on without a waiter.
func bounded<Result: Sendable>(
    _ what: String,
    within limit: Duration,
    _ operation: @escaping @Sendable () async throws -> Result
) async throws -> Result {
    let (results, sink) = AsyncStream.makeStream(of: Swift.Result<Result, any Error>.self)
    let work = Task {
        do { sink.yield(.success(try await operation())) } catch { sink.yield(.failure(error)) }
    }
    let timeout = Task {
        try await Task.sleep(for: limit)
        sink.yield(.failure(Failure("Not done within \(limit): \(what).")))
    }
    defer {
        work.cancel()
        timeout.cancel()
    }
    for await result in results { return try result.get() }
    throw CancellationError()
}
