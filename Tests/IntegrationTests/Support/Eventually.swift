import Testing

/// A condition did not hold in time.
struct NeverHappened: Error, CustomStringConvertible {
    let description: String
}

/// Polls until a condition holds, such as a state of the server.
func eventually(
    _ what: String,
    within limit: Duration = .seconds(20),
    sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else {
            Issue.record("Did not happen within \(limit): \(what)", sourceLocation: sourceLocation)
            throw NeverHappened(description: what)
        }
        try await Task.sleep(for: .milliseconds(5))
    }
}
