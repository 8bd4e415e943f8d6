internal import DequeModule
internal import Logging
public import NIOCore
internal import Synchronization

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
    private let leaseClock: LeaseClock
    private let commandTimeout: TimeAmount
    private let logger: Logger
    private var machine = ConnectionStateMachine()
    private var reader: RESPReader
    private var isReading = false
    private var unread: Deque<ByteBuffer> = []
    private var stream: (any ByteStream)?
    /// Since when the server has let this client in.
    private(set) var openedAt: NIODeadline?
    /// When this client began to connect.
    let begunAt: NIODeadline
    /// Where the connection begins, as the server tells it of a client.
    private(set) var localAddress: String?
    private nonisolated let submissions = SubmissionQueue()
    private nonisolated let serverSideID = Atomic(0)
    /// What was sent last, for its memory.
    private var batch = SubmissionQueue.Batch()
    private var timer: (deadline: NIODeadline, task: Scheduled<Void>)?
    private var onClose: [@Sendable (RedisError) -> Void] = []
    private var onNotMaster: (@Sendable () -> Void)?
    private var isRetired = false

    init(
        configuration: Configuration,
        eventLoop: any EventLoop,
        leaseClock: LeaseClock = .eventLoop,
        logger: Logger
    ) {
        self.configuration = configuration
        self.eventLoop = eventLoop
        begunAt = eventLoop.now
        self.leaseClock = leaseClock
        self.logger = logger
        commandTimeout = TimeAmount(configuration.commandTimeout)
        reader = RESPReader(limits: configuration.limits, secret: configuration.password)
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
        localAddress = stream.localAddress
        submissions.attach(stream)
        flush()
    }

    /// The server has let this client in: from now on, TLS that fails is a connection that breaks.
    func opened() {
        openedAt = eventLoop.now
    }

    /// What the server calls this connection (`CLIENT ID`); `nil` if it does not tell.
    nonisolated var clientID: Int? {
        let id = serverSideID.load(ordering: .relaxed)
        return id > 0 ? id : nil
    }

    nonisolated func identify(_ id: Int) { serverSideID.store(id, ordering: .relaxed) }

    /// Whether the connection has ended.
    var isClosed: Bool { machine.closeReason != nil }

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

    /// Calls `body` when the server says that it is not the master.
    nonisolated func whenNotMaster(_ body: @escaping @Sendable () -> Void) {
        onEventLoop { $0.onNotMaster = body }
    }

    /// From now on, what the server says is no news.
    func beginRetiring() { isRetired = true }

    /// Nothing more is taken; what is under way comes to its end.
    func finishRetiring() {
        submissions.finish(Self.retired)
        endIfQuiet()
    }

    private func endIfQuiet() {
        if submissions.isFinished, isQuiet { end(Self.retired) }
    }

    /// Whether the connection is open and every command has its reply.
    var isQuiet: Bool { machine.closeReason == nil && machine.waitingCount == 0 && submissions.isEmpty }

    private func end(_ reason: RedisError) {
        guard machine.closeReason == nil else { return }
        let failed = machine.close(reason)
        timer?.task.cancel()
        timer = nil
        stream?.close()
        stream = nil
        let observers = onClose
        onClose = []
        // First the owner: who learns of the failure and tries again at once must not be given this connection.
        for observer in observers { observer(reason) }
        // Where nobody waited, the reply that could not be read is nobody else's.
        let toOthers = failed.isEmpty ? reason : reason.forOthers
        let unsent = submissions.close(toOthers)
        logger.debug(
            "connection ended",
            metadata: [LogKey.reason: "\(reason.code)", LogKey.pending: "\(failed.count + unsent.count)"]
        )
        for (receiver, error) in failed { receiver.deliver(.failure(error)) }
        fail(unsent, with: toOthers)
    }

    /// Tells those whose commands will not be sent.
    private func fail(_ unsent: [SubmissionQueue.Entry], with reason: RedisError) {
        for entry in unsent {
            entry.receiver.deliver(.failure(reason.about(command: entry.name, mayHaveExecuted: false)))
        }
    }

    // MARK: Sending

    /// Sends what `write` writes, in one piece, and returns the replies to come.
    ///
    /// - Parameters:
    ///   - count: How many commands `write` writes.
    ///   - write: Called once, before this returns.
    nonisolated func begin(
        count: Int,
        _ write: (inout CommandWriter) -> Void
    ) -> PendingReplies {
        let replies = PendingReplies(count: count)
        var writer = CommandWriter()
        write(&writer)
        let invalid = writer.invalid
        let (bytes, commands) = writer.finish()
        let entries = commands.map { command in
            SubmissionQueue.Entry(
                name: command.name,
                blockingTime: command.blockingTime,
                receiver: .group(replies)
            )
        }
        if let refusal = invalid ?? follow(submissions.submit(entries, bytes)) {
            for command in commands {
                let name = refusal.command ?? command.name
                replies.deliver(.failure(refusal.about(command: name, mayHaveExecuted: false)))
            }
        }
        return replies
    }

    /// Sends a command that returns at once, and waits for its reply.
    nonisolated func roundTrip(_ name: String, _ command: borrowing CommandEncoder) async -> PendingReply.Outcome {
        let pending = PendingReply()
        return await pending.outcome {
            let entry = SubmissionQueue.Entry(name: name, blockingTime: nil, receiver: .one(pending))
            return follow(submissions.submit(entry, command))?.about(command: name, mayHaveExecuted: false)
        }
    }

    /// Lets a command stand in line, and has its outcome handled on the event loop, later and in any case.
    ///
    /// - Parameter latest: By the clock of leases, when it must have left. A process that was stopped in between ends the
    ///   connection instead.
    nonisolated func begin(
        _ command: some RedisCommand,
        notAfter latest: NIODeadline = .distantFuture,
        then handle: @escaping @Sendable (PendingReplies.Outcome) -> Void
    ) {
        let entry = SubmissionQueue.Entry(
            name: command.name,
            blockingTime: command.blockingTime,
            receiver: .handler(handle),
            latest: latest
        )
        let refusal: RedisError?
        do throws(RedisError) {
            refusal = follow(submissions.submit(entry, try command.encoded()))
        } catch {
            refusal = error
        }
        guard let refusal else { return }
        // Not at once: who begins a command need not expect its end in the middle of that.
        eventLoop.execute { handle(.failure(refusal.about(command: entry.name, mayHaveExecuted: false))) }
    }

    /// Sees to it that what was submitted is sent. Returns the error if it was refused.
    private nonisolated func follow(_ submission: SubmissionQueue.Submission) -> RedisError? {
        switch submission {
        case .queued: return nil
        case .first:
            eventLoop.execute { self.assumeIsolated { $0.flush() } }
            return nil
        case .refused(let error): return error
        }
    }

    /// Hands what stands in line to the socket. Happens by itself at the end of a turn of the event loop; earlier it
    /// gets the server to work earlier.
    func flush() {
        guard let stream else { return }
        submissions.take(into: &batch)
        if batch.entries.isEmpty { return }
        defer { batch.empty() }
        if batch.entries.contains(where: { $0.latest < .distantFuture }) {
            let time = leaseClock.now(on: eventLoop)
            if batch.entries.contains(where: { $0.latest <= time }) { return endUnsent() }
        }
        let now = eventLoop.now
        let usual = now + commandTimeout
        var first = NIODeadline.distantFuture
        for entry in batch.entries {
            let deadline = entry.blockingTime.map { now + TimeAmount(configuration.timeout(blockingTime: $0)) } ?? usual
            machine.sent(.init(name: entry.name, receiver: entry.receiver, deadline: deadline))
            first = min(first, deadline)
        }
        armTimer(first)
        for part in batch.parts { stream.write(part) }
        if batch.bytes.readableBytes > 0 { stream.write(batch.bytes) }
    }

    /// What is in the batch is not sent, since one of its commands must not be any more.
    private func endUnsent() {
        let reason = RedisError(
            .connectionClosed,
            "This process stood still, and a command was not to be sent so late."
        )
        let unsent = batch.entries
        end(reason)
        fail(unsent, with: reason)
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
            if error.code == .tlsFailure, connection.openedAt != nil {
                error = RedisError(.connectionClosed, "The connection broke: \(error.message)", cause: error.cause)
            }
            connection.end(error)
        }
    }

    /// What comes while a reply is being handled has to wait: who handles it may write, and a write that fails has NIO hand
    /// over at once what was still to be read.
    private func read(_ bytes: ByteBuffer) {
        if isReading { return unread.append(bytes) }
        isReading = true
        defer { isReading = false }
        unread.append(bytes)
        while let bytes = unread.popFirst() {
            guard machine.closeReason == nil else { return unread.removeAll() }
            do throws(RedisError) {
                try parse(bytes)
            } catch {
                logger.info("protocol violation", metadata: [LogKey.reason: "\(error.code)"])
                end(error)
            }
        }
        if isRetired { endIfQuiet() }
    }

    private func parse(_ bytes: ByteBuffer) throws(RedisError) {
        var violation: RedisError?
        let result: Result<Void, RedisError> = unsafe bytes.withUnsafeReadableBytes { raw in
            Result { () throws(RedisError) in
                unsafe try reader.read(raw) { reply in
                    switch machine.received(reply) {
                    case .deliver(let reply, let receiver):
                        // First the owner: who tries again must not be given this connection.
                        if reply.saysNotMaster, !isRetired { onNotMaster?() }
                        receiver.deliver(.success(reply))
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
