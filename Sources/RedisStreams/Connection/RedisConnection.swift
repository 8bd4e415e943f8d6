internal import DequeModule
public import NIOCore
internal import Synchronization

/// One connection to a Redis server: an actor on the event loop that its bytes arrive on.
///
/// The connection pipelines the commands of many tasks: it sends each at once, and matches replies to commands by their
/// order. Commands of the same turn of the event loop leave in one write.
///
/// A connection never reconnects. Once it has ended, every command on it fails with the reason, and its owner makes another
/// one, as ``RedisClient`` does.
public actor RedisConnection {
    /// The event loop that is the executor of this actor.
    public nonisolated let eventLoop: any EventLoop

    /// The executor of this actor: its event loop.
    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe eventLoop.executor.asUnownedSerialExecutor()
    }

    nonisolated let configuration: Configuration
    /// The server that gave this connection its id.
    private nonisolated let server: ServerIdentity
    private let leaseClock: LeaseClock
    private let commandTimeout: TimeAmount
    let instruments: Instruments
    private var machine = ConnectionStateMachine()
    private var reader: RESPReader
    /// Buffers that have arrived. The connection parses the first one; the others came in the middle of that.
    private var unread: Deque<ByteBuffer> = []
    /// How this client got in, if a credentials provider was asked.
    var login: Login?
    /// When this client began to connect.
    let begunAt: NIODeadline
    /// The address of this end of the connection, as `CLIENT LIST` shows it.
    private(set) var localAddress: String?
    private nonisolated let submissions = SubmissionQueue()
    private nonisolated let serverSideID = Atomic(0)
    /// The commands that were sent last, kept for their memory.
    private var batch = SubmissionQueue.Batch()
    private var timer: (deadline: NIODeadline, task: Scheduled<Void>)?
    private var onClose: [@Sendable (RedisError) -> Void] = []
    private var onNotMaster: (@Sendable () -> Void)?
    private var onRedirection: (@Sendable (Redirection) -> Void)?

    init(
        configuration: Configuration,
        server: ServerIdentity = .unique(),
        eventLoop: any EventLoop,
        leaseClock: LeaseClock = .eventLoop,
        instruments: Instruments
    ) {
        self.configuration = configuration
        self.server = server
        self.eventLoop = eventLoop
        begunAt = eventLoop.now
        self.leaseClock = leaseClock
        self.instruments = instruments
        commandTimeout = TimeAmount(configuration.commandTimeout)
        reader = RESPReader(limits: configuration.limits, secret: configuration.password)
    }

    /// Runs `body` on the event loop: at once if the caller is on it, else soon.
    nonisolated func onEventLoop(_ body: @escaping @Sendable (isolated RedisConnection) -> Void) {
        if eventLoop.inEventLoop {
            assumeIsolated(body)
        } else {
            eventLoop.execute { self.assumeIsolated(body) }
        }
    }

    // MARK: Life

    /// Begins the handshake on a stream that the transport has connected.
    ///
    /// - Throws: ``RedisError``: why the connection has ended meanwhile.
    func attach(_ stream: any ByteStream) throws(RedisError) {
        guard machine.connected(stream) else {
            stream.close()
            throw machine.closeReason ?? Self.closedByClient
        }
        localAddress = stream.localAddress
        submissions.attach(stream)
        flush()
    }

    /// Opens the connection: the server has accepted the handshake.
    ///
    /// - Throws: ``RedisError``: why the connection has ended meanwhile.
    func open() throws(RedisError) {
        guard machine.handshakeSucceeded(at: eventLoop.now) else {
            throw machine.closeReason ?? Self.closedByClient
        }
        for instrument in instruments.connections { instrument.connectionOpened(report) }
    }

    private var report: ConnectionReport {
        ConnectionReport(
            endpoint: "\(configuration.address)",
            clientID: clientID,
            connectDuration: Duration((machine.openedAt ?? eventLoop.now) - begunAt)
        )
    }

    /// The stream to send on; `nil` while there is none.
    var stream: (any ByteStream)? { machine.stream }

    /// When the server let this client in; `nil` if it never did.
    var openedAt: NIODeadline? { machine.openedAt }

    /// The latest time at which a command that was sent may get its reply; `nil` if none waits.
    var latestDeadline: NIODeadline? { machine.latestDeadline }

    /// Removes this password, too, from the server's texts before they are shown.
    func hide(_ password: Password) { reader.hide(password) }

    /// The id that the server gave this connection (`CLIENT ID`); `nil` if the server gives none.
    nonisolated var clientID: Int? {
        let id = serverSideID.load(ordering: .relaxed)
        return id > 0 ? id : nil
    }

    /// Whether both connections lead to the same server, so that it knows the ids of both.
    nonisolated func isToSameServer(as other: RedisConnection) -> Bool { server == other.server }

    /// Whether it was made to this server.
    nonisolated func leads(to server: ServerIdentity) -> Bool { self.server == server }

    nonisolated func identify(_ id: Int) { serverSideID.store(id, ordering: .relaxed) }

    /// Whether the connection has ended.
    var isClosed: Bool { machine.closeReason != nil }

    /// Whether this client ended the connection because it did not need it any more: that says nothing about the server.
    private(set) var wasEndedByClient = false

    /// Ends the connection. Commands without a reply fail with ``RedisError/Code/connectionClosed``.
    public nonisolated func close() {
        onEventLoop { $0.end(Self.closedByClient, byClient: true) }
    }

    /// Ends the connection at once, for `reason`. Commands without a reply fail with it.
    nonisolated func end(because reason: RedisError) {
        onEventLoop { $0.end(reason) }
    }

    private static var closedByClient: RedisError {
        RedisError(.connectionClosed, "The connection was closed by this client.")
    }

    /// Calls `body` with the reason once the connection has ended, on its event loop.
    nonisolated func whenClosed(_ body: @escaping @Sendable (RedisError) -> Void) {
        onEventLoop { connection in
            if let reason = connection.machine.closeReason { body(reason) } else { connection.onClose.append(body) }
        }
    }

    /// Calls `body` when the server says that it is not the master.
    nonisolated func whenNotMaster(_ body: @escaping @Sendable () -> Void) {
        onEventLoop { connection in
            if !connection.isClosed { connection.onNotMaster = body }
        }
    }

    /// Calls `body` when the server sends this client on to another node of a cluster. From then on, commands that a node sent
    /// on fail with ``RedisError/Code/slotMoving``.
    nonisolated func whenRedirected(_ body: @escaping @Sendable (Redirection) -> Void) {
        onEventLoop { connection in
            if !connection.isClosed { connection.onRedirection = body }
        }
    }

    /// Commands are still sent for the time of `grace`; then the connection ends behind their replies.
    func beginClosing(grace: TimeAmount) {
        switch machine.retire() {
        case .waitForGrace: eventLoop.scheduleTask(in: grace) { self.assumeIsolated { $0.graceIsOver() } }
        case .end: end(Self.retired, byClient: true)
        case .none: break
        }
    }

    private func graceIsOver() {
        guard machine.graceIsOver() else { return }
        submissions.finish(Self.retired)
        // What was submitted in time is still sent.
        flush()
        endIfDrained()
    }

    private func endIfDrained() {
        if machine.isDrained { end(Self.retired, byClient: true) }
    }

    /// Whether the connection is open and every command has its reply.
    var isIdle: Bool { machine.isOpen && machine.waitingCount == 0 && submissions.isEmpty }

    private func end(_ reason: RedisError, byClient: Bool = false) {
        guard let action = machine.end(reason) else { return }
        wasEndedByClient = byClient
        timer?.task.cancel()
        timer = nil
        endLogin()
        action.stream?.close()
        let observers = onClose
        onClose = []
        onNotMaster = nil
        onRedirection = nil
        // The owner learns of it first: a caller that tries again at once must not be given this connection.
        for observer in observers { observer(reason) }
        // If no command waited, no command is to blame for a reply that could not be read.
        let toOthers = action.failed.isEmpty ? reason : reason.forOthers
        let unsent = submissions.close(toOthers)
        for instrument in instruments.connections {
            let pending = action.failed.count + unsent.count
            instrument.connectionEnded(ConnectionEnd(connection: report, reason: reason, pendingCommands: pending))
        }
        for (command, error) in action.failed {
            if !instruments.commands.isEmpty { commandEnded(command, error) }
            command.receiver.deliver(.failure(error))
        }
        fail(unsent, with: toOthers)
    }

    /// Fails commands that will not be sent.
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
    nonisolated func enqueue(
        count: Int,
        _ write: (inout CommandWriter) -> Void
    ) -> PendingReplies {
        let replies = PendingReplies(count: count)
        var writer = CommandWriter(asks: configuration.asks)
        write(&writer)
        let invalid = writer.invalid
        let (bytes, commands) = writer.finish()
        let entries = commands.map { command in
            command.isAsking
                ? .asking
                : SubmissionQueue.Entry(
                    name: command.name,
                    blockingTime: command.blockingTime,
                    receiver: .group(replies)
                )
        }
        if let refusal = invalid ?? follow(submissions.submit(entries, bytes)) {
            for command in commands where !command.isAsking {
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

    /// Queues a command until the next flush, and has its outcome handled on the event loop, later and in any case.
    ///
    /// - Parameter latest: The latest time, by the clock of leases, at which the connection may send the command. If the process
    ///   was suspended past it, the connection ends instead.
    nonisolated func enqueue(
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
            refusal = follow(try submit(command, as: entry))
        } catch {
            refusal = error
        }
        guard let refusal else { return }
        // Not at once: the caller need not expect the outcome before this returns.
        eventLoop.execute { handle(.failure(refusal.about(command: entry.name, mayHaveExecuted: false))) }
    }

    private nonisolated func submit(
        _ command: some RedisCommand,
        as entry: SubmissionQueue.Entry
    ) throws(RedisError) -> SubmissionQueue.Submission {
        guard configuration.asks else { return submissions.submit(entry, try command.encoded()) }
        var writer = CommandWriter(asks: true)
        writer.write(command)
        if let invalid = writer.invalid { throw invalid }
        let (bytes, commands) = writer.finish()
        return submissions.submit(commands.map { $0.isAsking ? .asking : entry }, bytes)
    }

    /// Schedules a flush for the first command of a turn. Returns the error of a command that was refused.
    private nonisolated func follow(_ submission: SubmissionQueue.Submission) -> RedisError? {
        switch submission {
        case .queued: return nil
        case .first:
            eventLoop.execute { self.assumeIsolated { $0.flush() } }
            return nil
        case .refused(let error): return error
        }
    }

    /// Writes all queued commands to the stream. The event loop does so at the end of each turn; an earlier flush lets the
    /// server begin earlier.
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
            machine.sent(.init(name: entry.name, receiver: entry.receiver, sentAt: now, deadline: deadline))
            first = min(first, deadline)
        }
        armTimer(first)
        for part in batch.parts { stream.write(part) }
        if batch.bytes.readableBytes > 0 { stream.write(batch.bytes) }
    }

    /// Ends the connection instead of sending the batch, since one of its commands is too late.
    private func endUnsent() {
        let reason = RedisError(
            .connectionClosed,
            "This process was suspended, and a command was too old to be sent."
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
        case .end(let error): end(error)
        }
    }
}

extension RedisConnection: ByteStreamDelegate {
    package nonisolated func received(_ bytes: ByteBuffer) {
        assumeIsolated { connection in connection.read(bytes) }
    }

    package nonisolated func ended(with error: RedisError?) {
        assumeIsolated { $0.end($0.explained($0.machine.reason(forEndOfStream: error))) }
    }

    /// Says what may be behind the end of a connection on which the server has not answered yet.
    private func explained(_ reason: RedisError) -> RedisError {
        guard openedAt == nil, let stream, case .tcp = configuration.address else { return reason }
        let hasCertificate = configuration.tls?.clientCertificate != nil
        return reason.beforeFirstReply(isEncrypted: stream.isEncrypted, hasClientCertificate: hasCertificate)
    }

    /// Bytes that arrive while a reply is being handled have to wait: its handler may write, and when a write fails, NIO
    /// delivers at once what was still to be read.
    private func read(_ bytes: ByteBuffer) {
        unread.append(bytes)
        if unread.count > 1 { return }
        while let bytes = unread.first {
            guard machine.closeReason == nil else { return unread.removeAll() }
            do throws(RedisError) {
                try parse(bytes)
            } catch {
                let isTLS = openedAt == nil && configuration.tls == nil && RedisError.isAlert(bytes.readableBytesView)
                end(isTLS ? .tlsMissing : error)
            }
            unread.removeFirst()
        }
        endIfDrained()
    }

    /// Callers check first that an instrument listens, since this reads the clock.
    private func commandEnded(_ command: ConnectionStateMachine.SentCommand, _ error: RedisError?) {
        let duration = Duration(eventLoop.now - command.sentAt)
        for instrument in instruments.commands {
            instrument.commandEnded(CommandReport(name: command.name, duration: duration, error: error))
        }
    }

    /// The outcome of a command. The router learns of a redirection first: a caller that tries again is sent on at once.
    private func outcome(
        _ reply: RedisReply,
        of command: ConnectionStateMachine.SentCommand
    ) -> PendingReplies.Outcome {
        guard let onRedirection, let redirection = reply.redirection else { return .success(reply) }
        onRedirection(redirection)
        return .failure(.slotMoving(redirection, command: command.name))
    }

    private func parse(_ bytes: ByteBuffer) throws(RedisError) {
        var violation: RedisError?
        let result: Result<Void, RedisError> = unsafe bytes.withUnsafeReadableBytes { raw in
            Result { () throws(RedisError) in
                unsafe try reader.read(raw) { reply in
                    switch machine.received(reply) {
                    case .deliver(let reply, let command):
                        // The owner learns of it first: a caller that tries again must not be given this connection.
                        if reply.saysNotMaster, machine.isOpen { onNotMaster?() }
                        if !instruments.commands.isEmpty { commandEnded(command, reply.error) }
                        command.receiver.deliver(outcome(reply, of: command))
                    case .end(let error): violation = violation ?? error
                    case .ignore: break
                    }
                }
            }
        }
        if let violation { throw violation }
        try result.get()
    }
}
