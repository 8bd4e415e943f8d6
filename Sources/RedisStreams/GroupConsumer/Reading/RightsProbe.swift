internal import Logging

/// Finds out at the start which commands the user of the connections has no right to. A consumer with fast handlers
/// needs most of them only when something goes wrong, and then it is too late to find out.
struct RightsProbe {
    /// The commands that a consumer needs to settle, renew and dead-letter messages as it promises.
    private static let neededCommands: Set = ["XACK", "XPENDING", "XCLAIM", "TYPE", "XADD"]

    private let consumer: GroupConsumer
    private var isDone: Bool

    init(_ consumer: GroupConsumer) {
        self.consumer = consumer
        let configuration = consumer.configuration
        isDone = !configuration.acknowledgement.keepsPending || !configuration.safeguards.contains(.rightsProbe)
    }

    /// The call of the probe; `nil` if the rights are known.
    var call: ScriptCall? {
        isDone ? nil : consumer.call(.rights, keys: consumer.configuration.deadLetter.map { [$0.stream] } ?? [])
    }

    /// Evaluates what the script returned, or why it failed.
    ///
    /// - Throws: ``RedisError/Code/permissionDenied`` if a right is missing that a guarantee depends on.
    mutating func ended(_ result: Result<[String], RedisError>) throws(RedisError) {
        let refused: [String]
        switch result {
        case .success(let names): refused = names
        case .failure(let error):
            if error.isRetriable || error.code == .permissionDenied { throw error }
            // A server that refuses scripts will refuse the next one too, with an error that matters.
            consumer.observer.log.logger.warning(
                "could not find out which commands the user has a right to",
                metadata: [LogKey.reason: "\(error.code)"]
            )
            return isDone = true
        }
        let needed = refused.filter(Self.neededCommands.contains)
        if let name = needed.first {
            throw RedisError(
                .permissionDenied,
                "A consumer needs the right to \(needed.joined(separator: ", ")). "
                    + "Documentation/Rights.md has the list.",
                command: name
            )
        }
        isDone = true
        if !refused.isEmpty { consumer.observer.report(.rightsMissing(commands: refused)) }
    }
}

extension RedisConnection {
    /// Runs the probe. Returns the commands that the user has no right to.
    func probeRights(_ call: ScriptCall) async -> Result<[String], RedisError> {
        do throws(RedisError) {
            // The library sends scripts with `EVAL` and with `EVALSHA`: the user needs the right to both.
            _ = try await execute(call.whole)
            return .success(try call.elements(try await run(call)).compactMap(\.string))
        } catch {
            return .failure(error)
        }
    }
}
