internal import Logging
internal import NIOCore

/// Performs what `GroupConsumerStateMachine` decides: leases a connection, reads, claims, delivers to the session, and
/// acknowledges what the session says is due.
///
/// An actor on an event loop, and its connection is on the same one: no step costs a change of threads.
actor GroupEngine {
    nonisolated let eventLoop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe eventLoop.executor.asUnownedSerialExecutor() }

    private let consumer: GroupConsumer
    private let session: GroupSession
    private let awaitsHandlers: Bool
    private let logger: Logger
    private var machine: GroupConsumerStateMachine
    /// Whether the last read brought all that it may: more is there, and the next read leaves soon.
    private var isBusy = false
    /// What was reported as deleted since the last sweep came round.
    private var reportedDeleted: Set<StreamID> = []
    /// A read that was sent before the reply to the one before it was there.
    private var ahead: Read?

    private var configuration: GroupConsumer.Configuration { consumer.configuration }
    private var pool: ConnectionPool { consumer.client.pool }

    /// - Parameter awaitsHandlers: Whether to go on acknowledging when the task is cancelled, until the session is
    ///   finished. Somebody has to see to that.
    init(consumer: GroupConsumer, session: GroupSession, awaitsHandlers: Bool) {
        self.awaitsHandlers = awaitsHandlers
        self.consumer = consumer
        self.session = session
        eventLoop = session.eventLoop
        machine = GroupConsumerStateMachine(consumer.configuration, now: eventLoop.now)
        var logger = consumer.client.logger
        logger[metadataKey: LogKey.stream] = "\(consumer.stream)"
        logger[metadataKey: LogKey.group] = "\(consumer.group)"
        logger[metadataKey: LogKey.consumer] = "\(consumer.name)"
        self.logger = logger
    }

    /// Serves the session until it is finished and everything that is due has been sent, or until something fails that
    /// trying again does not mend: that goes to the session, which throws it at who asks for messages.
    nonisolated func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.acknowledgeLoop() }
            await self.session.mailbox.whileOpen { await self.readLoop() }
        }
        // A read that was ended may have taken acknowledgements along.
        await acknowledgeRest()
    }

    // MARK: Reading

    private func readLoop() async {
        while !session.mailbox.isStopping && !Task.isCancelled {
            guard let reaction = await serve(), await follow(reaction) else { break }
        }
        if session.mailbox.isStopping { return }
        // Cancelled: by those who handle messages, or, where they do not own this task, by the end of the client. That is
        // told: a loop never just ends.
        if awaitsHandlers {
            session.mailbox.stop()
        } else {
            session.mailbox.fail(PoolStateMachine<RedisConnection>.shutDown)
        }
    }

    /// Leases a connection, and takes step after step on it. Returns how to go on after a failure; `nil` when the
    /// session has stopped.
    ///
    /// A read that was sent ahead is finished in any case: it may have brought messages, and taken acknowledgements along.
    private func serve() async -> FailureReaction? {
        let connection: RedisConnection
        do throws(RedisError) {
            connection = try await pool.lease(on: eventLoop)
        } catch {
            return session.mailbox.isStopping || Task.isCancelled ? nil : machine.failed(error)
        }
        let reaction = await takeSteps(on: connection)
        await takeAhead(on: connection)
        pool.release(connection)
        return reaction
    }

    private func takeSteps(on connection: RedisConnection) async -> FailureReaction? {
        while await session.mailbox.waitForRoom() {
            let step = machine.next(now: eventLoop.now)
            do throws(RedisError) {
                try await perform(step, on: connection)
            } catch {
                if session.mailbox.isStopping || Task.isCancelled { return nil }
                let reaction = machine.failed(error)
                if case .proceed = reaction { continue }
                return reaction
            }
        }
        return nil
    }

    /// Waits as long as a failure asks for. Returns `false` if it is final.
    private func follow(_ reaction: FailureReaction) async -> Bool {
        switch reaction {
        case .proceed: return true
        case .retry(let error, let attempt):
            let delay = configuration.backoff.delay(attempt: attempt, jitter: .random(in: 0...1))
            logger.info("consumer interrupted", metadata: LogKey.retry(error, attempt, delay))
            report(.interrupted(error, retryAfter: delay))
            await eventLoop.sleep(for: delay)
            return true
        case .stop(let error):
            logger.info("consumer failed", metadata: [LogKey.reason: "\(error.code)"])
            session.mailbox.fail(error)
            return false
        }
    }

    private func perform(
        _ step: GroupConsumerStateMachine.Step,
        on connection: RedisConnection
    ) async throws(RedisError) {
        if case .readNew(let block) = step { return try await readNew(block: block, on: connection) }
        await takeAhead(on: connection)
        switch step {
        case .createGroup(let start): try await createGroup(start, on: connection)
        case .readPending(let id): try await readPending(after: id, on: connection)
        case .claim(let cursor): try await claim(from: cursor, on: connection)
        case .readNew: break
        }
    }

    private func createGroup(_ start: XGROUP.Start, on connection: RedisConnection) async throws(RedisError) {
        try await connection.execute(
            XGROUP.CREATE(consumer.stream, group: consumer.group, from: start, createStream: true)
        )
        machine.createdGroup()
        logger.info("group created")
        report(.groupCreated)
    }

    /// Reads a page of what is pending for this consumer, and hands over what it does not hold.
    private func readPending(after id: StreamID, on connection: RedisConnection) async throws(RedisError) {
        let batches = try await connection.execute(
            XREADGROUP(
                group: consumer.group,
                consumer: consumer.name,
                streams: [.init(consumer.stream, .pending(after: id))],
                count: machine.count
            )
        )
        let batch = batches.first
        machine.readPending(last: batch?.last?.id)
        if let batch { try await deliver(session.leavingOutKnown(batch), source: .pending, on: connection) }
    }

    private func claim(from cursor: StreamID, on connection: RedisConnection) async throws(RedisError) {
        guard let idleTime = configuration.claimIdleTime else { return }
        let result = try await connection.execute(
            XAUTOCLAIM(
                consumer.stream,
                group: consumer.group,
                consumer: consumer.name,
                minIdle: idleTime,
                start: cursor,
                count: machine.count
            )
        )
        machine.claimed(next: result.next, now: eventLoop.now)
        let claimed = session.leavingOutKnown(result.messages)
        if !claimed.isEmpty {
            logger.info("claimed", metadata: [LogKey.count: "\(claimed.count)"])
            report(.claimed(count: claimed.count))
        }
        try await deliver(claimed, source: .claimed, on: connection)
        reportDeleted(result.deletedIDs)
        if result.isComplete { reportedDeleted = [] }
        // Redis 6.2 gives deleted entries to the claimer without their ids: they show when it reads what it has pending.
        if result.unidentifiedDeletions > 0 { machine.recover() }
    }

    /// Reads new messages. While there is a backlog, another read is sent before the reply to this one is there, so that
    /// the server works while a batch is parsed and handed out.
    private func readNew(block: Duration?, on connection: RedisConnection) async throws(RedisError) {
        let read = ahead ?? begin(block: block, on: connection)
        ahead = nil
        if isBusy, session.mailbox.hasRoom(besides: machine.count) {
            ahead = begin(block: nil, on: connection)
        }
        try await handOver(finish(read), on: connection)
    }

    /// Delivers what a read brings that was sent ahead, before another kind of step.
    ///
    /// What the server has against it, it has against the next step as well.
    private func takeAhead(on connection: RedisConnection) async {
        guard let read = ahead else { return }
        ahead = nil
        do throws(RedisError) {
            try await handOver(finish(read), on: connection)
        } catch {
            logger.debug("read ahead failed", metadata: [LogKey.reason: "\(error.code)"])
            // It may have brought messages nevertheless.
            machine.recover()
        }
    }

    /// A read on its way. What was due to be acknowledged went before it in the same write.
    private struct Read {
        let command: XREADGROUP
        let acknowledge: XACK?
        let replies: PendingReplies
        let connection: RedisConnection
    }

    private func begin(block: Duration?, on connection: RedisConnection) -> Read {
        let command = XREADGROUP(
            group: consumer.group,
            consumer: consumer.name,
            streams: [.init(consumer.stream, .new)],
            count: machine.count,
            block: block,
            noAck: configuration.acknowledgement == .never
        )
        let ids = session.takeDue(atMost: Self.maxAcknowledged)
        let acknowledge = ids.isEmpty ? nil : XACK(consumer.stream, group: consumer.group, ids: ids)
        let replies = connection.begin(count: ids.isEmpty ? 1 : 2) { writer in
            if let acknowledge { writer.write(acknowledge) }
            writer.write(command)
        }
        return Read(command: command, acknowledge: acknowledge, replies: replies, connection: connection)
    }

    private func finish(_ read: Read) async throws(RedisError) -> [MessageBatch] {
        let outcomes = await read.replies.outcomes(onCancel: { read.connection.close() })
        // Here this closes at once, before anybody else can be given the connection.
        if read.replies.isAbandoned { read.connection.close() }
        if let acknowledge = read.acknowledge { settle(acknowledge.ids, acknowledge.result(of: outcomes[0])) }
        return try read.command.result(of: outcomes[outcomes.count - 1]).get()
    }

    private func handOver(_ batches: [MessageBatch], on connection: RedisConnection) async throws(RedisError) {
        machine.readNew()
        isBusy = batches.first?.count == machine.count
        if let batch = batches.first { try await deliver(batch, source: .new, on: connection) }
    }

    /// Hands a batch to the session, but for entries that were deleted while they were pending: those are acknowledged.
    private func deliver(
        _ batch: MessageBatch,
        source: GroupMessage.Source,
        on connection: RedisConnection
    ) async throws(RedisError) {
        let deleted = source == .pending ? batch.deletedIDs : []
        if configuration.acknowledgement == .onDelivery, !batch.isEmpty {
            // Handed out only once the server has it as acknowledged: else it could be handled twice.
            _ = try await connection.execute(XACK(consumer.stream, group: consumer.group, ids: batch.map(\.id)))
        } else if !deleted.isEmpty {
            session.acknowledge(deleted)
        }
        reportDeleted(deleted)
        let lease = configuration.effectiveClaimInterval == nil ? nil : configuration.claimIdleTime
        session.deliver(
            deleted.isEmpty ? batch : batch.leavingOutDeleted(),
            source: source,
            isHeld: configuration.acknowledgement.keepsPending,
            freshUntil: lease.map { eventLoop.now + TimeAmount($0) }
        )
    }

    /// Reports each entry once, although both the own pending list and a claim may show it.
    private func reportDeleted(_ deleted: [StreamID]) {
        let ids = deleted.filter { reportedDeleted.insert($0).inserted }
        guard !ids.isEmpty else { return }
        logger.info("pending entries were deleted", metadata: [LogKey.count: "\(ids.count)"])
        report(.deleted(ids: ids))
    }

    private func report(_ event: GroupConsumer.Event) {
        configuration.onEvent?(event)
    }

    // MARK: Acknowledging

    /// The most ids that go into one `XACK`.
    private static let maxAcknowledged = 1000

    /// How long settled messages wait for company: longer while the next read will take them along.
    private static let gatherTime = Duration.milliseconds(1)
    private static let busyGatherTime = Duration.milliseconds(5)

    /// Sends what no read takes along: while the reader waits on the server or for room, and at the end.
    private func acknowledgeLoop() async {
        var attempt = 0
        while await session.waitForDue(inAnyCase: awaitsHandlers) {
            if !session.isDone { await eventLoop.sleep(for: isBusy ? Self.busyGatherTime : Self.gatherTime) }
            let ids = session.takeDue(atMost: Self.maxAcknowledged)
            if ids.isEmpty { continue }
            let outcome = await acknowledge(ids)
            settle(ids, outcome)
            guard case .failure = outcome else {
                attempt = 0
                continue
            }
            attempt += 1
            // At the end there are a few more attempts; what is left is delivered again, to whoever claims it.
            if (session.isDone || Task.isCancelled) && attempt >= Self.lastAttempts { break }
            await eventLoop.sleep(for: configuration.backoff.delay(attempt: attempt, jitter: .random(in: 0...1)))
        }
    }

    private static let lastAttempts = 3

    /// Sends what is due when everything else has ended, once.
    private func acknowledgeRest() async {
        while true {
            let ids = session.takeDue(atMost: Self.maxAcknowledged)
            if ids.isEmpty { return }
            let outcome = await acknowledge(ids)
            settle(ids, outcome)
            if case .failure = outcome { return }
        }
    }

    /// Sends an `XACK` on a shared connection. Cancellation does not keep it from being sent.
    private func acknowledge(_ ids: [StreamID]) async -> Result<Int, RedisError> {
        let command = XACK(consumer.stream, group: consumer.group, ids: ids)
        do throws(RedisError) {
            return try await pool.shared().executeToTheEnd(command)
        } catch {
            // Such as that this task was cancelled, or that the client is ending.
            return error.isRetriable ? .failure(error) : await acknowledgeApart(command)
        }
    }

    /// Sends an `XACK` on a leased connection, and in a task of its own: a task that is cancelled can wait for no
    /// connection, and a client that is ending makes no shared ones any more.
    private func acknowledgeApart(_ command: XACK) async -> Result<Int, RedisError> {
        let task = Task { () -> Result<Int, RedisError> in
            do throws(RedisError) {
                let connection = try await pool.lease(on: eventLoop)
                defer { pool.release(connection) }
                return .success(try await connection.execute(command))
            } catch {
                return .failure(error)
            }
        }
        return await task.value
    }

    private func settle(_ ids: [StreamID], _ outcome: Result<Int, RedisError>) {
        switch outcome {
        case .success: session.confirm(ids)
        case .failure(let error):
            logger.info("could not acknowledge", metadata: [LogKey.reason: "\(error.code)"])
            if error.isRetriable || error.code == .cancelled { return session.restore(ids) }
            // Trying again will not help, and reading on would only pile up what cannot be acknowledged.
            session.confirm(ids)
            session.mailbox.fail(error)
        }
    }
}
