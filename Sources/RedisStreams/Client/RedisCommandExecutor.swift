/// What commands can be executed on: a client or a single connection.
///
/// Every typed command, such as `xadd` or `xinfoStream`, is a method of this protocol.
public protocol RedisCommandExecutor: Sendable {
    /// Sends one command and waits for its reply.
    ///
    /// Cancellation: a command that was sent keeps its place and may be executed; its reply is dropped.
    ///
    /// - Throws: ``RedisError``, also for an error that the server replies.
    func execute<Command: RedisCommand>(_ command: Command) async throws(RedisError) -> Command.Response
}

extension RedisConnection: RedisCommandExecutor {}
