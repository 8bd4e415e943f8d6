internal import NIOCore

extension RedisConnection {
    /// How long a connection that is retired still takes commands. Its owner gives it to nobody any more, and who was
    /// given it just before has submitted by then.
    private static let grace = TimeAmount.milliseconds(100)

    /// Ends the connection behind the replies that are still to come, a read that waits on the server included: none of
    /// them is lost, and a read that could go on for ever does not exist, since BLOCK is bounded. Whoever submits later is
    /// told that the connection is closed.
    nonisolated func retire() {
        onEventLoop { connection in
            connection.beginRetiring()
            connection.eventLoop.scheduleTask(in: Self.grace) { self.assumeIsolated { $0.finishRetiring() } }
        }
    }

    static var retired: RedisError {
        RedisError(.connectionClosed, "The connection was given up, since its server is not the master.")
    }
}

extension RedisReply {
    /// Whether the server refuses because it is not the master, or has lost it.
    var saysNotMaster: Bool {
        guard token.kind == .error else { return false }
        let text = unsafe tape.bytes(of: token).prefix(512)
        guard unsafe text.contains("READONLY".utf8) || text.contains("MASTERDOWN".utf8) else { return false }
        return [.readOnly, .masterDown].contains(error?.code)
    }
}
