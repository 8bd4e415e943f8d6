/// A message that the server has added, and that was not confirmed as ``StreamProducer/Configuration/confirmation`` asks
/// for. It is the cause of an error with ``RedisError/Code/unconfirmed``.
public struct UnconfirmedEntry: Error, Hashable {
    /// The id of the message in the stream.
    public let id: StreamID

    /// How many replicas the producer asked for.
    public let requestedReplicas: Int

    /// How many replicas have confirmed it, at least; `nil` if that is unknown, since the connection was lost or the server refused
    /// to say it.
    public let confirmedReplicas: Int?

    /// Whether the append-only file of the server itself has it; `nil` if the producer did not ask for that, or if it is unknown.
    public let isSavedLocally: Bool?
}

extension RedisError {
    /// The message that was added and not confirmed; `nil` unless the code is ``Code/unconfirmed``.
    public var unconfirmedEntry: UnconfirmedEntry? { cause as? UnconfirmedEntry }

    /// The error of a message that was added, and that was confirmed by fewer than `command` asks for.
    static func unconfirmed(
        _ id: StreamID,
        _ command: ConfirmationCommand,
        _ result: Result<ConfirmationCommand.Confirmed, RedisError>
    ) -> RedisError {
        let outcome: String
        let confirmed: ConfirmationCommand.Confirmed?
        switch result {
        case .success(let value):
            confirmed = value
            let local = command.isLocal ? "; the server itself has \(value.isLocal ? "" : "not ")saved it" : ""
            outcome = "\(value.replicas) of \(command.replicas) replicas confirmed it within \(command.limit)\(local)."
        case .failure(let error):
            confirmed = nil
            outcome = "whether \(command.replicas) replicas have it is unknown: \(error.message)"
        }
        let entry = UnconfirmedEntry(
            id: id,
            requestedReplicas: command.replicas,
            confirmedReplicas: confirmed?.replicas,
            isSavedLocally: command.isLocal ? confirmed?.isLocal : nil
        )
        return RedisError(
            .unconfirmed,
            "The entry \(id) was added, but \(outcome) Sending it again would add a second entry.",
            command: command.request.name,
            cause: entry,
            mayHaveExecuted: true
        )
    }
}
