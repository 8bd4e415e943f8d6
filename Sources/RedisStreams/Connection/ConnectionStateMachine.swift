internal import DequeModule
internal import NIOCore

/// The order of a connection: which reply is whose, until when it has to come, and what a failure means to whom.
///
/// Redis answers in the order of the commands, so that the commands without a reply are a queue.
///
/// - `open`: commands are written, replies delivered. Goes to `closed`.
/// - `closed`: commands fail with the reason.
struct ConnectionStateMachine: ~Copyable {
    /// A command without a reply.
    struct Command {
        let name: String
        let replies: PendingReplies
        let deadline: NIODeadline
    }

    private enum State {
        case open
        case closed(RedisError)
    }

    private var state: State = .open
    private var waiting: Deque<Command> = []
    /// How many of `waiting`, from the back, have not been handed to the socket.
    private var unsent = 0

    enum EnqueueAction {
        case write
        case fail(RedisError)
    }

    /// A command is to be sent.
    mutating func enqueue(_ command: Command) -> EnqueueAction {
        switch state {
        case .open:
            waiting.append(command)
            unsent += 1
            return .write
        case .closed(let reason):
            return .fail(reason.about(command: command.name, mayHaveExecuted: false))
        }
    }

    /// Everything that was enqueued is on its way.
    mutating func flushed() {
        unsent = 0
    }

    enum ReceiveAction {
        case deliver(RedisReply, to: PendingReplies)
        case close(RedisError)
        case ignore
    }

    /// A reply has arrived.
    mutating func received(_ reply: RedisReply) -> ReceiveAction {
        guard case .open = state else { return .ignore }
        if waiting.count > unsent, let command = waiting.popFirst() {
            return .deliver(reply, to: command.replies)
        }
        // A server that is full greets with an error and closes.
        if let error = reply.error { return .close(error) }
        return .close(RedisError(.protocolViolation, "The server sent a reply that nobody had asked for."))
    }

    enum DeadlineAction {
        case wait(until: NIODeadline)
        case idle
        case close(RedisError)
    }

    /// Says until when the connection can be left alone.
    ///
    /// Replies come in order: one that is overdue means that the connection, or the server, has stopped.
    func checkDeadlines(now: NIODeadline) -> DeadlineAction {
        guard let next = waiting.lazy.map(\.deadline).min() else { return .idle }
        guard next <= now else { return .wait(until: next) }
        return .close(
            RedisError(
                .timeout,
                "The server did not answer in time. The connection was closed, since it may be broken; raise "
                    + "commandTimeout if the server is merely slow."
            )
        )
    }

    /// The connection has ended. Returns the commands that will have no reply, each with its error.
    mutating func close(_ reason: RedisError) -> [(PendingReplies, RedisError)] {
        guard case .open = state else { return [] }
        state = .closed(reason)
        let firstUnsent = waiting.count - unsent
        let failed = waiting.enumerated().map { position, command in
            (command.replies, reason.about(command: command.name, mayHaveExecuted: position < firstUnsent))
        }
        waiting = []
        unsent = 0
        return failed
    }

    /// Why the connection has ended; `nil` while it has not.
    var closeReason: RedisError? {
        if case .closed(let reason) = state { reason } else { nil }
    }

    /// How many commands have no reply yet.
    var waitingCount: Int { waiting.count }
}
