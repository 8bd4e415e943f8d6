import ChaosWork
import Synchronization

/// Waits for something no longer than `limit`, also if it does not react to being cancelled: then it is left to itself.
func bounded<Result: Sendable>(
    _ what: String,
    within limit: Duration,
    _ operation: @escaping @Sendable () async throws -> Result
) async throws -> Result {
    let (results, sink) = AsyncStream.makeStream(of: Swift.Result<Result, any Error>.self)
    let work = Task {
        do { sink.yield(.success(try await operation())) } catch { sink.yield(.failure(error)) }
    }
    let alarm = Task {
        try await Task.sleep(for: limit)
        sink.yield(.failure(Failure("Not done within \(limit): \(what).")))
    }
    defer {
        work.cancel()
        alarm.cancel()
    }
    for await result in results { return try result.get() }
    throw CancellationError()
}
