/// A client or a single connection, on which commands can be executed.
///
/// Every typed command, such as `xadd` or `xinfoStream`, is a method of this protocol.
public protocol RedisCommandExecutor: Sendable {
    /// Sends one command and waits for its reply.
    ///
    /// Cancellation: the server may still execute a command that was sent; its reply is dropped.
    ///
    /// - Throws: ``RedisError``, also if the server replies with an error.
    func execute<Command: RedisCommand>(_ command: Command) async throws(RedisError) -> Command.Response
}

extension RedisConnection: RedisCommandExecutor {}
