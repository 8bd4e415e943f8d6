import ChaosWork

/// Polls until a condition holds, such as a state of the server.
///
/// - Returns: How long it took.
@discardableResult
func eventually(
    _ what: String,
    within limit: Duration = .seconds(20),
    every pause: Duration = .milliseconds(5),
    _ condition: () async throws -> Bool
) async throws -> Duration {
    let start = ContinuousClock.now
    while try await !condition() {
        guard ContinuousClock.now - start < limit else { throw Failure("Did not happen within \(limit): \(what).") }
        try await Task.sleep(for: pause)
    }
    return ContinuousClock.now - start
}
