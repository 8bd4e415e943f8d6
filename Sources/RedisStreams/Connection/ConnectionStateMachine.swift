internal import DequeModule
internal import NIOCore

/// The life of a connection, and the order of its replies. Free of sockets, clocks and locks: `RedisConnection` performs
/// what it says.
///
/// The states and their successors:
///
/// | state | what it means | entered by | successors |
/// |---|---|---|---|
/// | `connecting` | The transport opens a stream. Nothing can be sent. | `init()` | `handshaking`, `closed` |
/// | `handshaking` | The client logs in. Only the handshake is sent. | `connected` | `open`, `closed` |
/// | `open` | The pool gives the connection out, and commands are sent. | `handshakeSucceeded` | `closing`, `closed` |
/// | `closing` | The pool does not give it out any more. After a grace period it ends behind the last reply. | `retire` | `closed` |
/// | `closed` | The stream has ended. Replies are ignored. | `end` | none |
///
/// A transition that the table does not have changes nothing: its method returns `false`, `nil` or `none`.
///
/// Redis answers in the order of the commands, so that the commands without a reply are a queue. They are in it from the
/// moment at which the owner writes them to the stream; before, they are in the `SubmissionQueue`.
struct ConnectionStateMachine: ~Copyable {
    /// A command that was sent, and has no reply.
    struct SentCommand {
        let name: String
        let receiver: ReplyReceiver
        let sentAt: NIODeadline
        let deadline: NIODeadline
    }

    /// A stream on which the server has let this client in.
    private struct Session {
        let stream: any ByteStream
        let openedAt: NIODeadline
    }

    private enum State {
        case connecting
        case handshaking(any ByteStream)
        case open(Session)
        case closing(Session, takesCommands: Bool)
        case closed(RedisError, openedAt: NIODeadline?)
    }

    private var state: State = .connecting
    /// Empty in the states without a stream.
    private var waiting: Deque<SentCommand> = []

    // MARK: Transitions

    /// The transport has opened a stream: `connecting` → `handshaking`. Returns `false` if the connection has no use for the
    /// stream, since it has ended meanwhile or has another one.
    mutating func connected(_ stream: any ByteStream) -> Bool {
        guard case .connecting = state else { return false }
        state = .handshaking(stream)
        return true
    }

    /// The server has let this client in: `handshaking` → `open`. Returns `false` if the connection has ended meanwhile, or
    /// has no handshake to come to an end.
    mutating func handshakeSucceeded(at now: NIODeadline) -> Bool {
        guard case .handshaking(let stream) = state else { return false }
        state = .open(Session(stream: stream, openedAt: now))
        return true
    }

    enum RetireAction {
        /// Take commands for the grace period, then call `graceIsOver`.
        case waitForGrace
        /// End the connection: nobody was given it, so there is nothing to wait for.
        case end
        /// The connection is closing or closed already.
        case none
    }

    /// The owner gives the connection to nobody any more: `open` → `closing`.
    mutating func retire() -> RetireAction {
        switch state {
        case .connecting, .handshaking: return .end
        case .open(let session):
            state = .closing(session, takesCommands: true)
            return .waitForGrace
        case .closing, .closed: return .none
        }
    }

    /// The grace period of a connection that is closing has ended: it takes no more commands. Returns `false` if it was not
    /// in that period.
    mutating func graceIsOver() -> Bool {
        guard case .closing(let session, takesCommands: true) = state else { return false }
        state = .closing(session, takesCommands: false)
        return true
    }

    struct EndAction {
        /// The stream to close, if there is one.
        let stream: (any ByteStream)?
        /// The commands that will have no reply, each with its error.
        let failed: [(SentCommand, RedisError)]
    }

    /// The connection ends: any state → `closed`. Returns `nil` if it has ended before.
    ///
    /// A reply that could not be read is that of the first command; the others have lost their connection.
    mutating func end(_ reason: RedisError) -> EndAction? {
        if closeReason != nil { return nil }
        let stream = stream
        state = .closed(reason, openedAt: openedAt)
        defer { waiting = [] }
        let failed = waiting.enumerated().map { position, command in
            let error = position == 0 ? reason : reason.forOthers
            return (command, error.about(command: command.name, mayHaveExecuted: true))
        }
        return EndAction(stream: stream, failed: failed)
    }

    // MARK: Commands and replies

    /// A command has been handed to `stream`, which the states without one do not have.
    mutating func sent(_ command: SentCommand) {
        waiting.append(command)
    }

    enum ReceiveAction {
        case deliver(RedisReply, to: SentCommand)
        case end(RedisError)
        case ignore
    }

    /// A reply has arrived.
    mutating func received(_ reply: RedisReply) -> ReceiveAction {
        if let command = waiting.popFirst() { return .deliver(reply, to: command) }
        if case .closed = state { return .ignore }
        // A server that is full sends an error that nobody asked for, and closes.
        if let error = reply.error { return .end(error) }
        return .end(RedisError(.protocolViolation, "The server sent a reply that nobody had asked for."))
    }

    enum DeadlineAction {
        case wait(until: NIODeadline)
        case idle
        case end(RedisError)
    }

    /// Returns until when the owner need not check again.
    ///
    /// Replies come in order: one that is overdue means that the connection, or the server, has stopped.
    func checkDeadlines(now: NIODeadline) -> DeadlineAction {
        guard let next = waiting.lazy.map(\.deadline).min() else { return .idle }
        guard next <= now else { return .wait(until: next) }
        return .end(
            RedisError(
                .timeout,
                "The server did not answer in time. The connection was closed, since it may be broken; raise "
                    + "commandTimeout if the server is merely slow."
            )
        )
    }

    /// Why the connection ends when its stream does, with `error` or because the peer closed it. Once the server has let
    /// this client in, TLS that fails is a connection that broke.
    func reason(forEndOfStream error: RedisError?) -> RedisError {
        guard let error else { return RedisError(.connectionClosed, "The server closed the connection.") }
        guard error.code == .tlsFailure, openedAt != nil else { return error }
        return RedisError(.connectionClosed, "The connection broke: \(error.message)", cause: error.cause)
    }

    // MARK: Questions

    /// The stream to send on; `nil` in the states without one.
    var stream: (any ByteStream)? {
        switch state {
        case .connecting, .closed: nil
        case .handshaking(let stream): stream
        case .open(let session), .closing(let session, _): session.stream
        }
    }

    /// When the server let this client in, also of a connection that has ended since; `nil` if it never did.
    var openedAt: NIODeadline? {
        switch state {
        case .connecting, .handshaking: nil
        case .open(let session), .closing(let session, _): session.openedAt
        case .closed(_, let openedAt): openedAt
        }
    }

    /// Whether the connection is open: it can be given out.
    var isOpen: Bool {
        if case .open = state { true } else { false }
    }

    /// Whether the connection is closing, and every command that it took has its reply: it is to end.
    var isDrained: Bool {
        if case .closing(_, takesCommands: false) = state { waiting.isEmpty } else { false }
    }

    /// Why the connection has ended; `nil` while it has not.
    var closeReason: RedisError? {
        if case .closed(let reason, _) = state { reason } else { nil }
    }

    /// The latest time at which a command that was sent may get its reply; `nil` if none waits.
    var latestDeadline: NIODeadline? { waiting.lazy.map(\.deadline).max() }

    /// How many commands have no reply yet.
    var waitingCount: Int { waiting.count }
}

extension RedisError {
    /// The reason for the commands that are not to blame for the end of their connection.
    var forOthers: RedisError {
        guard [.replyTooLarge, .protocolViolation].contains(code) else { return self }
        return RedisError(.connectionClosed, "The reply to another command could not be read: \(message)")
    }
}
