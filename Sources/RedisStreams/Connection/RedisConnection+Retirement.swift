internal import NIOCore

extension RedisConnection {
    /// How long a connection that is closing still takes commands. The pool gives it to nobody any more, and a caller that
    /// got it just before has submitted its command by then.
    private static let grace = TimeAmount.milliseconds(100)

    /// Ends the connection behind the replies that are still to come, a read that waits on the server included: no reply is
    /// lost, and every read ends, since BLOCK is bounded. Commands that are submitted later fail with
    /// ``RedisError/Code/connectionClosed``.
    nonisolated func retire() {
        onEventLoop { $0.beginClosing(grace: Self.grace) }
    }

    static var retired: RedisError {
        RedisError(.connectionClosed, "The connection was given up, since its server is not the master.")
    }
}

extension RedisReply {
    /// Whether the server refuses a command because it is not the master, or has lost its master.
    var saysNotMaster: Bool {
        guard token.kind == .error else { return false }
        let text = unsafe tape.bytes(of: token).prefix(512)
        guard unsafe text.contains("READONLY".utf8) || text.contains("MASTERDOWN".utf8) else { return false }
        return [.readOnly, .masterDown].contains(error?.code)
    }
}
