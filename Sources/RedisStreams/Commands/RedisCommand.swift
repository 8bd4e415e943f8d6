/// A command with its arguments, and how to read its reply.
///
/// The library has a type for every stream command. For others, use `send(_:)`, or conform a type of your own.
public protocol RedisCommand: Sendable {
    /// What the reply is decoded to.
    associatedtype Response: Sendable

    /// The name as Redis has it, with the subcommand: `XADD`, `XGROUP CREATE`. Used in errors and logs.
    static var name: String { get }

    /// The name of this command: that of its type, save for ``RawCommand``, which learns it from its arguments.
    var name: String { get }

    /// The keys that the command works on. In a cluster they say where the command has to go.
    var keys: [StreamKey] { get }

    /// How long the server may hold the reply back; `nil` for a command that returns at once. A command that blocks is
    /// given a connection of its own.
    var blockingTime: Duration? { get }

    /// The oldest server that knows the command with the options used here; `nil` where every supported one does.
    var requirement: ServerRequirement? { get }

    /// Checks the arguments.
    ///
    /// - Throws: ``RedisError`` with ``RedisError/Code/invalidArgument`` for what no server would accept.
    func validate() throws(RedisError)

    /// Appends the command's name and all its arguments.
    func encode(into encoder: inout CommandEncoder)

    /// Reads the reply, which is not an error.
    ///
    /// - Throws: ``RedisError`` with ``RedisError/Code/unexpectedReply`` for a reply of another shape.
    func decode(_ reply: RedisReply) throws(RedisError) -> Response
}

extension RedisCommand {
    /// The name of the type.
    public var name: String { Self.name }

    /// No keys.
    public var keys: [StreamKey] { [] }

    /// Returns at once.
    public var blockingTime: Duration? { nil }

    /// Every supported server has it.
    public var requirement: ServerRequirement? { nil }

    /// Accepts everything.
    public func validate() throws(RedisError) {}
}

extension RedisCommand {
    /// Reads a reply that may be an error.
    func response(to reply: RedisReply) throws(RedisError) -> Response {
        if let error = serverError(in: reply) { throw error }
        return try decode(reply)
    }

    /// The error that the server replied, if it did.
    func serverError(in reply: RedisReply) -> RedisError? {
        // First of all: the closure would be allocated for each reply.
        if reply.kind != .error { return nil }
        return reply.serverError(command: name) { deniedSubject($0) }
    }

    /// The error for a reply of another shape than the command has.
    func unexpected(_ reply: RedisReply) -> RedisError {
        RedisError(.unexpectedReply, "The reply has a shape that this command does not have: \(reply).", command: name)
    }

    /// The error for arguments that no server would accept. The message says what to do.
    func invalid(_ message: String) -> RedisError {
        RedisError(.invalidArgument, message, command: name)
    }
}
