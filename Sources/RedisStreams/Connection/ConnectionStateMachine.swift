internal import DequeModule
internal import NIOCore

/// The order of a connection: which reply is whose, until when it has to come, and what a failure means to whom.
///
/// Redis answers in the order of the commands, so that the commands without a reply are a queue. Here they are from the
/// moment at which they are handed to the socket; before, they are in the `SubmissionQueue`.
///
/// - `open`: commands are sent, replies delivered. Goes to `closed`.
/// - `closed`: replies are ignored.
struct ConnectionStateMachine: ~Copyable {
    /// A command that was sent, and has no reply.
    struct SentCommand {
        let name: String
        let receiver: ReplyReceiver
        let deadline: NIODeadline
    }

    private enum State {
        case open
        case closed(RedisError)
    }

    private var state: State = .open
    private var waiting: Deque<SentCommand> = []

    /// A command has been sent.
    mutating func sent(_ command: SentCommand) {
        waiting.append(command)
    }

    enum ReceiveAction {
        case deliver(RedisReply, to: ReplyReceiver)
        case close(RedisError)
        case ignore
    }

    /// A reply has arrived.
    mutating func received(_ reply: RedisReply) -> ReceiveAction {
        guard case .open = state else { return .ignore }
        if let command = waiting.popFirst() { return .deliver(reply, to: command.receiver) }
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

    /// The connection has ended. Returns the commands that will have no reply, each with its error. A reply that could not be
    /// read is that of the first one; the others have lost their connection.
    mutating func close(_ reason: RedisError) -> [(ReplyReceiver, RedisError)] {
        guard case .open = state else { return [] }
        state = .closed(reason)
        defer { waiting = [] }
        return waiting.enumerated().map { position, command in
            let error = position == 0 ? reason : reason.forOthers
            return (command.receiver, error.about(command: command.name, mayHaveExecuted: true))
        }
    }

    /// Why the connection has ended; `nil` while it has not.
    var closeReason: RedisError? {
        if case .closed(let reason) = state { reason } else { nil }
    }

    /// How many commands have no reply yet.
    var waitingCount: Int { waiting.count }
}

extension RedisError {
    /// What the end of a connection is to those whose commands are not to blame.
    var forOthers: RedisError {
        guard [.replyTooLarge, .protocolViolation].contains(code) else { return self }
        return RedisError(.connectionClosed, "The reply to another command could not be read: \(message)")
    }
}
