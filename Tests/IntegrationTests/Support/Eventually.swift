import Testing

/// What was waited for did not come about.
struct NeverHappened: Error, CustomStringConvertible {
    let description: String
}

/// Waits until something holds that can only be found out by asking, such as the state of a server.
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
