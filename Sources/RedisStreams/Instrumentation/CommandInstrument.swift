/// Hooks for commands. They are called on the event loop of the connection, once for each command that was sent.
package protocol CommandInstrument: Instrument {
    /// The reply to a command has arrived, or the connection ended before.
    func commandEnded(_ command: CommandReport)
}

extension CommandInstrument {
    package func commandEnded(_ command: CommandReport) {}
}

/// What became of a command that was sent.
package struct CommandReport: Sendable {
    /// The name as Redis has it, with the subcommand.
    package let name: String
    /// From the write to the reply. A command that blocks waits on the server for a part of it.
    package let duration: Duration
    /// The error that the server replied, or why there is no reply.
    package let error: RedisError?
}
