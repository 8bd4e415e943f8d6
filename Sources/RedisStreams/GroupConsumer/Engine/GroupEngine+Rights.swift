internal import Logging

// Finds out at the start which commands the user of the connections may not execute: handlers that are quick need most of
// them only when something goes wrong, and then it is too late to be told.
extension GroupEngine {
    /// Without these a message is not settled, renewed or given up as it is promised.
    private static let neededCommands: Set = ["XACK", "XPENDING", "XCLAIM", "TYPE", "XADD"]

    /// - Throws: ``RedisError/Code/permissionDenied`` if a right is missing that a guarantee depends on.
    func probeRights(on connection: RedisConnection) async throws(RedisError) {
        guard configuration.acknowledgement.keepsPending, configuration.safeguards.contains(.rightsProbe) else {
            return hasProbedRights = true
        }
        let call = consumer.call(.rights, keys: configuration.deadLetter.map { [$0.stream] } ?? [])
        let refused: [String]
        do throws(RedisError) {
            // Scripts are sent in both ways.
            _ = try await connection.execute(call.whole)
            refused = try call.elements(try await connection.run(call)).compactMap(\.string)
        } catch {
            if error.isRetriable || error.code == .permissionDenied { throw error }
            // What the server has against the script is said again when it matters.
            logger.warning("could not probe the rights", metadata: [LogKey.reason: "\(error.code)"])
            return hasProbedRights = true
        }
        if let name = refused.first(where: Self.neededCommands.contains) {
            let names = refused.filter(Self.neededCommands.contains).joined(separator: ", ")
            throw RedisError(
                .permissionDenied,
                "A consumer cannot do without the right to \(names). Documentation/Rights.md has the list.",
                command: name
            )
        }
        hasProbedRights = true
        if refused.isEmpty { return }
        report(.rightsMissing(commands: refused))
    }
}
