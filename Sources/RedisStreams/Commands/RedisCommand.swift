/// A command with its arguments, and the decoding of its reply.
///
/// The library has a type for every stream command. For other commands, use `send(_:)`, or conform a type of your own.
public protocol RedisCommand: Sendable {
    /// The type of the decoded reply.
    associatedtype Response: Sendable

    /// The name as Redis writes it, with the subcommand: `XADD`, `XGROUP CREATE`. Errors and logs use it.
    static var name: String { get }

    /// The name of this command: the name of its type, except for ``RawCommand``, whose name depends on its arguments.
    var name: String { get }

    /// The keys that the command uses. In a cluster they determine the node that has to execute it.
    var keys: [StreamKey] { get }

    /// How long the server may delay the reply; `nil` for a command that returns at once. A client sends a blocking
    /// command on a connection of its own.
    var blockingTime: Duration? { get }

    /// The first versions that support the command with its current options; `nil` if every supported server does.
    var requirement: ServerRequirement? { get }

    /// Checks the arguments.
    ///
    /// - Throws: ``RedisError`` with ``RedisError/Code/invalidArgument`` for arguments that no server would accept.
    func validate() throws(RedisError)

    /// Appends the command's name and all its arguments.
    func encode(into encoder: inout CommandEncoder)

    /// Decodes a reply that is not an error.
    ///
    /// - Throws: ``RedisError`` with ``RedisError/Code/unexpectedReply`` for a reply with an unexpected shape.
    func decode(_ reply: RedisReply) throws(RedisError) -> Response
}

extension RedisCommand {
    /// The name of the type.
    public var name: String { Self.name }

    /// No keys.
    public var keys: [StreamKey] { [] }

    /// `nil`: the command returns at once.
    public var blockingTime: Duration? { nil }

    /// `nil`: every supported server has the command.
    public var requirement: ServerRequirement? { nil }

    /// Accepts all arguments.
    public func validate() throws(RedisError) {}
}

extension RedisCommand {
    /// Decodes a reply, or throws the error that it is.
    func response(to reply: RedisReply) throws(RedisError) -> Response {
        if let error = serverError(in: reply) { throw error }
        return try decode(reply)
    }

    /// The error that the server replied; `nil` if the reply is not an error.
    func serverError(in reply: RedisReply) -> RedisError? {
        // This check comes first, so that the closure below is not allocated for each reply.
        if reply.kind != .error { return nil }
        return reply.serverError(command: name) { deniedSubject($0) }
    }

    /// The error for a reply that does not have the shape of this command's replies.
    func unexpected(_ reply: RedisReply) -> RedisError {
        RedisError(.unexpectedReply, "The command expects a reply of another shape than \(reply).", command: name)
    }

    /// The error for arguments that no server would accept. The message says what to do.
    func invalid(_ message: String) -> RedisError {
        RedisError(.invalidArgument, message, command: name)
    }
}
