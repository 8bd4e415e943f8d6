/// What can go wrong between this library and a Redis server.
///
/// Match on ``code``. The ``message`` is for people: it says what happened and what to do, and contains neither secrets
/// nor payloads. The library tells server errors apart by their first word only, since the rest differs by version.
public struct RedisError: Error, Sendable {
    private final class Storage: Sendable {
        let code: Code
        let message: String
        let command: String?
        let serverCode: String?
        let cause: (any Error)?
        let mayHaveExecuted: Bool
        let tlsFailure: TLSFailure?

        init(
            code: Code,
            message: String,
            command: String?,
            serverCode: String?,
            cause: (any Error)?,
            mayHaveExecuted: Bool,
            tlsFailure: TLSFailure?
        ) {
            self.code = code
            self.message = message
            self.command = command
            self.serverCode = serverCode
            self.cause = cause
            self.mayHaveExecuted = mayHaveExecuted
            self.tlsFailure = tlsFailure
        }
    }

    // A single reference keeps `Result` and typed throws small.
    private let storage: Storage

    /// What happened.
    public var code: Code { storage.code }

    /// What happened and what to do about it, in a sentence or two.
    public var message: String { storage.message }

    /// The name of the command that failed, such as `XADD`, without its arguments; `nil` if there was no command.
    public var command: String? { storage.command }

    /// The first word of the server's error, such as `WRONGTYPE`; `nil` if the error is not from a server.
    public var serverCode: String? { storage.serverCode }

    /// The error that caused this one, if there is one.
    public var cause: (any Error)? { storage.cause }

    /// Whether the server may have executed the command although no reply arrived: the command was sent, and then the
    /// connection was closed or the deadline passed. Sending an `XADD` again may then add a second entry.
    public var mayHaveExecuted: Bool { storage.mayHaveExecuted }

    /// Why TLS failed; `nil` if it did not. The message says what to do.
    public var tlsFailure: TLSFailure? { storage.tlsFailure }

    /// Whether the same call can succeed later without any other change: the server is loading, failing over, out of
    /// memory, or was unreachable. Check ``mayHaveExecuted`` before you repeat the call.
    public var isRetriable: Bool { code.isRetriable }

    package init(
        _ code: Code,
        _ message: String,
        command: String? = nil,
        serverCode: String? = nil,
        cause: (any Error)? = nil,
        mayHaveExecuted: Bool = false,
        tlsFailure: TLSFailure? = nil
    ) {
        storage = Storage(
            code: code,
            message: message,
            command: command,
            serverCode: serverCode,
            cause: cause,
            mayHaveExecuted: mayHaveExecuted,
            tlsFailure: tlsFailure
        )
    }

    /// A copy of the error that names `command`, and replaces ``mayHaveExecuted`` unless that is `nil`.
    func about(command: String?, mayHaveExecuted: Bool? = nil) -> RedisError {
        RedisError(
            code,
            message,
            command: command,
            serverCode: serverCode,
            cause: cause,
            mayHaveExecuted: mayHaveExecuted ?? self.mayHaveExecuted,
            tlsFailure: tlsFailure
        )
    }
}

extension RedisError: CustomStringConvertible {
    /// Code, command and message.
    public var description: String {
        let subject = command.map { " (\($0))" } ?? ""
        return "\(code)\(subject): \(message)"
    }
}

// The description of a cause may contain payloads or secrets, so only its type is printed.
extension RedisError: CustomDebugStringConvertible, CustomReflectable {
    /// Code, command and message, and the type of the cause.
    public var debugDescription: String {
        guard let cause else { return description }
        return "\(description) (cause: \(type(of: cause)))"
    }

    /// Code, command and message, and the type of the cause.
    public var customMirror: Mirror {
        let parts: [(label: String, value: String?)] = [
            ("code", code.description), ("command", command), ("message", message),
            ("cause", cause.map { "\(type(of: $0))" }),
        ]
        return Mirror(
            self,
            children: parts.compactMap { part in part.value.map { (part.label, $0) } },
            displayStyle: .struct
        )
    }
}
