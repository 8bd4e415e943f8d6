internal import Logging
public import NIOCore

/// One connection to a Redis server: an actor on the event loop that its bytes arrive on.
///
/// Commands of many tasks are pipelined: each is sent when it is executed, and replies are told apart by their order.
/// Commands sent in the same turn of the event loop leave in one write.
///
/// A connection never reconnects. Once it has ended, everything on it fails with the reason, and whoever owns it makes
/// another; ``RedisClient`` does.
public actor RedisConnection {
    /// The event loop that is the executor of this actor.
    public nonisolated let eventLoop: any EventLoop

    /// The executor of this actor: its event loop.
    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe eventLoop.executor.asUnownedSerialExecutor()
    }

    nonisolated let configuration: Configuration
    private let logger: Logger
    private var machine = ConnectionStateMachine()
    private var reader: RESPReader
    private var stream: (any ByteStream)?
    private var isGreeted = false
    private var outgoing = ByteBuffer()
    private var unsent = UnsentBytes()
    private var isFlushScheduled = false
    private var timer: (deadline: NIODeadline, task: Scheduled<Void>)?
    private var onClose: [@Sendable (RedisError) -> Void] = []

    init(configuration: Configuration, eventLoop: any EventLoop, logger: Logger) {
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.logger = logger
        reader = RESPReader(limits: configuration.limits)
    }

    /// Runs `body` on the event loop: now if this is it, else soon.
    nonisolated func onEventLoop(_ body: @escaping @Sendable (isolated RedisConnection) -> Void) {
        if eventLoop.inEventLoop {
            assumeIsolated(body)
        } else {
            eventLoop.execute { self.assumeIsolated(body) }
        }
    }

    // MARK: Life

    /// The stream is connected.
    func attach(_ stream: any ByteStream) {
        if machine.closeReason != nil { return stream.close() }
        self.stream = stream
    }

    /// The server has let this client in: from now on, TLS that fails is a connection that breaks.
    func greeted() {
        isGreeted = true
    }

    /// Ends the connection. Commands without a reply fail with ``RedisError/Code/connectionClosed``.
    public nonisolated func close() {
        onEventLoop { $0.end(RedisError(.connectionClosed, "The connection was closed by this client.")) }
    }

    /// Calls `body` with the reason once the connection has ended, on its event loop.
    nonisolated func whenClosed(_ body: @escaping @Sendable (RedisError) -> Void) {
        onEventLoop { connection in
            if let reason = connection.machine.closeReason { body(reason) } else { connection.onClose.append(body) }
        }
    }

    /// Whether the connection is open and every command has its reply.
    var isQuiet: Bool { machine.closeReason == nil && machine.waitingCount == 0 }

    private func end(_ reason: RedisError) {
        guard machine.closeReason == nil else { return }
        let failed = machine.close(reason)
        timer?.task.cancel()
        timer = nil
        outgoing = ByteBuffer()
        stream?.close()
        stream = nil
        let observers = onClose
        onClose = []
        logger.debug(
            "connection ended",
            metadata: [LogKey.reason: "\(reason.code)", LogKey.pending: "\(failed.count)"]
        )
        // First the owner: who learns of the failure and tries again at once must not be given this connection.
        for observer in observers { observer(reason) }
        for (replies, error) in failed { replies.deliver(.failure(error)) }
    }

    // MARK: Sending

    /// Sends what `write` writes, in one piece, and returns the replies to come.
    ///
    /// - Parameters:
    ///   - count: How many commands `write` writes.
    ///   - write: Called on the event loop.
    nonisolated func begin(
        count: Int,
        _ write: @escaping @Sendable (inout CommandWriter) -> Void
    ) -> PendingReplies {
        let replies = PendingReplies(count: count)
        onEventLoop { $0.send(replies, write) }
        return replies
    }

    private func send(_ replies: PendingReplies, _ write: (inout CommandWriter) -> Void) {
        if replies.isAbandoned { return }
        var buffer = ByteBuffer()
        swap(&buffer, &outgoing)
        var writer = CommandWriter(buffer: consume buffer)
        write(&writer)
        let refusal = writer.invalid ?? refusal(of: writer)
        if refusal != nil { writer.discard() }
        let (written, commands) = writer.finish()
        if let refusal {
            outgoing = written
            for command in commands {
                replies.deliver(.failure(refusal.about(command: refusal.command ?? command.name)))
            }
            return
        }
        let now = eventLoop.now
        var failure: RedisError?
        for command in commands {
            let timeout = configuration.timeout(blockingTime: command.blockingTime)
            let deadline = now + TimeAmount(timeout)
            switch machine.enqueue(.init(name: command.name, replies: replies, deadline: deadline)) {
            case .write: armTimer(deadline)
            case .fail(let error):
                failure = error
                replies.deliver(.failure(error))
            }
        }
        if failure == nil {
            outgoing = written
            scheduleFlush()
        }
    }

    /// Why what was written may not be sent now: the server takes less than it is given.
    private func refusal(of writer: CommandWriter) -> RedisError? {
        let stream = stream
        let fits = unsent.admit(writer.byteCount) { (stream?.unsentBytes ?? 0) + writer.byteCountBefore }
        if fits { return nil }
        return RedisError(
            .connectionUnavailable,
            "The server does not take what it is sent: \(unsent.limit) bytes wait. Send less at once, or later."
        )
    }

    private func scheduleFlush() {
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        eventLoop.execute { self.assumeIsolated { $0.flush() } }
    }

    private func flush() {
        isFlushScheduled = false
        guard let stream, outgoing.readableBytes > 0 else { return }
        let bytes = outgoing
        outgoing = ByteBuffer()
        machine.flushed()
        stream.write(bytes)
    }

    // MARK: Deadlines

    private func armTimer(_ deadline: NIODeadline) {
        if let timer, timer.deadline <= deadline { return }
        timer?.task.cancel()
        let task = eventLoop.scheduleTask(deadline: deadline) { self.assumeIsolated { $0.timerFired() } }
        timer = (deadline, task)
    }

    private func timerFired() {
        timer = nil
        switch machine.checkDeadlines(now: eventLoop.now) {
        case .idle: break
        case .wait(let deadline): armTimer(deadline)
        case .close(let error): end(error)
        }
    }
}

extension RedisConnection: ByteStreamDelegate {
    package nonisolated func received(_ bytes: ByteBuffer) {
        assumeIsolated { connection in connection.read(bytes) }
    }

    package nonisolated func ended(with error: RedisError?) {
        assumeIsolated { connection in
            var error = error ?? RedisError(.connectionClosed, "The server closed the connection.")
            if error.code == .tlsFailure, connection.isGreeted {
                error = RedisError(.connectionClosed, "The connection broke: \(error.message)", cause: error.cause)
            }
            connection.end(error)
        }
    }

    private func read(_ bytes: ByteBuffer) {
        guard machine.closeReason == nil else { return }
        do throws(RedisError) {
            try parse(bytes)
        } catch {
            logger.info("protocol violation", metadata: [LogKey.reason: "\(error.code)"])
            end(error)
        }
    }

    private func parse(_ bytes: ByteBuffer) throws(RedisError) {
        var violation: RedisError?
        let result: Result<Void, RedisError> = unsafe bytes.withUnsafeReadableBytes { raw in
            Result { () throws(RedisError) in
                unsafe try reader.read(raw) { reply in
                    switch machine.received(reply) {
                    case .deliver(let reply, let replies): replies.deliver(.success(reply))
                    case .close(let error): violation = violation ?? error
                    case .ignore: break
                    }
                }
            }
        }
        if let violation { throw violation }
        try result.get()
    }
}
