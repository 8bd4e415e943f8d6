internal import Logging
internal import NIOCore

/// What the server says to a settlement.
enum SettlementReply: Sendable {
    /// So many messages were acknowledged.
    case count(Int)
    /// These were not this consumer's any more.
    case others([StreamID])
    /// Entries were added with these ids; `nil` if the message was not this consumer's any more.
    case added([StreamID]?)
}

// Sends what the session says is due: with a read if one leaves soon, else a little later on a shared connection.
extension GroupEngine {
    /// The most ids that go into one `XACK`.
    static let maxAcknowledged = 1000

    /// How long settled messages wait for company.
    private static let gatherTime = Duration.milliseconds(1)

    // MARK: When

    /// What is settled from now on is seen to: by the next read, or when the time for gathering is over.
    func updateAttention() {
        session.attend(isGathering || isReadingOn)
    }

    /// Sends what is due in a little while, if no read has taken it along until then.
    func gather() {
        if beginGathering() { endGatheringLater() }
    }

    /// Returns `false` if there is nothing to begin.
    func beginGathering() -> Bool {
        guard !isGathering, configuration.acknowledgement.keepsPending else { return false }
        isGathering = true
        updateAttention()
        return true
    }

    /// Goes on for as long as there is something to gather. A timer costs as much as a message.
    func goOnGathering() {
        if session.hasUnsettled { endGatheringLater() } else { endGathering() }
    }

    private func endGatheringLater() {
        eventLoop.scheduleTask(in: TimeAmount(Self.gatherTime)) { self.assumeIsolated { $0.gathered() } }
    }

    private func gathered() {
        if !isReadingOn { settleAtOnce() }
        endGathering()
    }

    private func endGathering() {
        isGathering = false
        updateAttention()
    }

    /// On a shared connection, since a read may wait on this one.
    private func settleAtOnce() {
        while let connection = pool.readyShared() {
            guard let sent = session.takeDue(atMost: Self.maxAcknowledged, .usual) else { return }
            beginSettling(sent, on: connection)
        }
        session.raiseAlarm()
    }

    /// Sends a settlement on a shared connection.
    func beginSettling(_ sent: SentSettlement, on connection: RedisConnection) {
        send(sent, on: connection) { self.settled(sent, $0) }
    }

    /// Sends what could not be sent at once, and what is left at the end.
    func settlementLoop() async {
        var attempt = 0
        var lastAttempts = 0
        while await session.waitForAlarm(inAnyCase: awaitsHandlers) {
            if !session.isDone { await eventLoop.sleep(for: Self.gatherTime) }
            if isGivenUp { return }
            guard let sent = session.takeDue(atMost: Self.maxAcknowledged) else { continue }
            let outcome = await perform(sent)
            settled(sent, outcome)
            guard case .failure(let error) = outcome else {
                attempt = 0
                // The rest has nobody else.
                session.raiseAlarm()
                continue
            }
            attempt += 1
            // At the end there are a few more attempts; what is left is delivered again, to whoever claims it.
            if session.isDone || (Task.isCancelled && !awaitsHandlers) { lastAttempts += 1 }
            if lastAttempts == Self.maxLastAttempts { break }
            await pause(behind: attempt, after: error)
        }
    }

    private static let maxLastAttempts = 3

    private func pause(behind attempt: Int, after error: RedisError) async {
        let delay = configuration.backoff.delay(attempt: attempt, jitter: pool.randomness(), after: error)
        logger.log(
            level: .of(attempt: attempt),
            "could not acknowledge messages, trying again",
            metadata: LogKey.retry(error, attempt, delay)
        )
        if !Task.isCancelled || session.isDone { return await eventLoop.sleep(for: delay) }
        // Handlers are still at work: cancellation must not make a storm of this.
        await eventLoop.sleepInAnyCase(for: min(delay, .milliseconds(100)))
    }

    /// Sends what is due, until there is nothing or something fails.
    func settleRest() async {
        while !isGivenUp, let sent = session.takeDue(atMost: Self.maxAcknowledged) {
            let outcome = await perform(sent)
            settled(sent, outcome)
            if case .failure = outcome { return }
        }
    }

    // MARK: How

    /// Sends a settlement on a connection that does not block. `handle` is called on the event loop of that.
    private nonisolated func send(
        _ sent: SentSettlement,
        on connection: RedisConnection,
        then handle: @escaping @Sendable (Result<SettlementReply, RedisError>) -> Void
    ) {
        // There may have been a wait for the connection.
        if case .acknowledge(let ids, isProven: true) = sent.settlement, sent.fencingDeadline > session.leaseTime {
            let command = consumer.xack(ids)
            return connection.begin(command, notAfter: sent.fencingDeadline) {
                handle(command.result(of: $0).map { .count($0) })
            }
        }
        let call = call(for: sent.settlement)
        connection.begin(call) { result in
            handle(result.flatMap { reply in self.read(reply, to: sent.settlement, call) })
        }
    }

    private nonisolated func call(for settlement: Settlement) -> ScriptCall {
        switch settlement {
        case .acknowledge(let ids, _): consumer.call(.acknowledge, ids: ids)
        case .requeue(let requeues): call(for: requeues)
        case .publish(let publication): call(for: publication)
        }
    }

    nonisolated func call(for requeues: [Requeue]) -> ScriptCall {
        let arguments: [[FieldValue]] = requeues.map { requeue in
            let idle = idleTime(of: requeue).wholeMilliseconds
            return [.text("\(requeue.id)"), .integer(Int(idle)), .integer(requeue.count.rawValue)]
        }
        return consumer.call(.requeue, arguments.flatMap(\.self))
    }

    private nonisolated func call(for publication: Publication) -> ScriptCall {
        var arguments: [FieldValue] = [.text("\(publication.id)")]
        // The first key is the stream of the message.
        for (number, output) in zip(2..., publication.outputs) {
            let maxLength = output.maxLength.map { "\($0)" } ?? ""
            arguments += [.integer(number), .text(maxLength), .integer(output.fields.count)] + output.fields
        }
        return consumer.call(.publish, keys: publication.outputs.map(\.stream), arguments)
    }

    /// For how long a message that is set requeue is to count as idle: it can be claimed when that is a lease.
    private nonisolated func idleTime(of requeue: Requeue) -> Duration {
        guard let lease = configuration.lease, let due = requeue.due else { return configuration.lease ?? .zero }
        let remaining = Duration.nanoseconds(max(0, (due - eventLoop.now).nanoseconds))
        return lease - min(lease, remaining)
    }

    private nonisolated func read(
        _ reply: RedisReply,
        to settlement: Settlement,
        _ call: ScriptCall
    ) -> Result<SettlementReply, RedisError> {
        Result { () throws(RedisError) in
            switch settlement {
            case .acknowledge: .count(try call.integer(reply))
            case .requeue: .others(try call.streamIDs(reply))
            case .publish: .added(reply.isNull ? nil : try call.streamIDs(reply))
            }
        }
    }

    /// Sends a settlement on a shared connection and waits for the reply, cancelled or not.
    private func perform(_ sent: SentSettlement) async -> Result<SettlementReply, RedisError> {
        do throws(RedisError) {
            return await perform(sent, on: try await pool.shared())
        } catch {
            // Such as that this task was cancelled, or that the client is ending.
            return error.isRetriable ? .failure(error) : await performApart(sent)
        }
    }

    private nonisolated func perform(
        _ sent: SentSettlement,
        on connection: RedisConnection
    ) async -> Result<SettlementReply, RedisError> {
        await withCheckedContinuation { continuation in
            send(sent, on: connection) { continuation.resume(returning: $0) }
        }
    }

    private func performApart(_ sent: SentSettlement) async -> Result<SettlementReply, RedisError> {
        do throws(RedisError) {
            return .success(
                try await apart { (connection) throws(RedisError) in
                    try await self.perform(sent, on: connection).get()
                }
            )
        } catch {
            return .failure(error)
        }
    }

    /// Does something on a leased connection, and in a task of its own: a task that is cancelled can wait for no
    /// connection, and a client that is ending makes no shared ones any more.
    func apart<Value: Sendable>(
        _ body: @escaping @Sendable (RedisConnection) async throws(RedisError) -> Value
    ) async throws(RedisError) -> Value {
        let task = Task { () -> Result<Value, RedisError> in
            do throws(RedisError) {
                let connection = try await pool.lease(on: eventLoop)
                defer { pool.release(connection) }
                return .success(try await body(connection))
            } catch {
                return .failure(error)
            }
        }
        return try await task.value.get()
    }

    // MARK: What came of it

    nonisolated func settled(_ sent: SentSettlement, _ outcome: Result<SettlementReply, RedisError>) {
        // What was sent to a group that was lost since says nothing of the group as it is now.
        guard session.isCurrent(sent) else { return session.confirm(sent.number) }
        switch outcome {
        case .success(let reply):
            done(sent.settlement, reply)
            session.confirm(sent.number)
        case .failure(let error): failed(sent, error)
        }
    }

    private nonisolated func done(_ settlement: Settlement, _ reply: SettlementReply) {
        switch (settlement, reply) {
        case (.acknowledge(let ids, _), .count(let count)):
            session.observer.count { $0.acknowledged += max(0, min(count, ids.count)) }
        case (.requeue(let requeues), .others(let others)):
            if !others.isEmpty { report(.leaseLost(ids: others)) }
            // Given back once is enough.
            if buffer.isStopping { session.returnedAtEnd(requeues.map(\.id)) }
            let returned = requeues.count { $0.due == nil }
            if returned > 0 { logger.info("returned messages to the group", metadata: [LogKey.count: "\(returned)"]) }
            let others = Set(others)
            let again = requeues.filter { $0.due != nil && !others.contains($0.id) }
            if !again.isEmpty { eventLoop.execute { self.assumeIsolated { $0.schedule(again) } } }
        case (.publish(let publication), .added(let ids)): published(publication, ids)
        default: break
        }
    }

    private func settledWithoutGroup(_ sent: SentSettlement) {
        if session.isCurrent(sent) { groupWasLost() }
    }

    private nonisolated func published(_ publication: Publication, _ ids: [StreamID]?) {
        if ids != nil { session.observer.count { $0.acknowledged += 1 } }
        // Nothing is added for a message that is others'.
        if ids == nil, !publication.mayBeDone { return report(.leaseLost(ids: [publication.id])) }
        guard let deadLetterReason = publication.deadLetterReason else { return }
        report(
            .deadLettered(id: publication.id, entry: ids?.first, reason: deadLetterReason.reason),
            because: "\(deadLetterReason.error): \(deadLetterReason.reason)"
        )
    }

    private nonisolated func failed(_ sent: SentSettlement, _ error: RedisError) {
        logger.debug("could not acknowledge or return messages", metadata: [LogKey.reason: "\(error)"])
        // What could not be read may have been done.
        let isNoRefusal = [.cancelled, .replyTooLarge, .protocolViolation].contains(error.code)
        if error.isRetriable || isNoRefusal {
            guard configuration.safeguards.contains(.reacknowledge) else { return session.confirm(sent.number) }
            return session.restore(sent.number)
        }
        session.confirm(sent.number)
        switch (sent.settlement, error.code) {
        // With the group everything is gone that was pending: it is delivered again, or it is done with.
        case (_, .noGroup): return eventLoop.execute { self.assumeIsolated { $0.settledWithoutGroup(sent) } }
        case (.publish(let publication), .wrongType), (.publish(let publication), .serverError),
            (.publish(let publication), .crossSlot), (.publish(let publication), .permissionDenied):
            if publication.deadLetterReason != nil { break }
            logger.warning(
                "the server refused what a handler emitted",
                metadata: [LogKey.message: "\(publication.id)", LogKey.reason: "\(error)"]
            )
            return session.refused(publication)
        default: break
        }
        // Trying again will not help, and reading on would only pile up what cannot be settled.
        end(with: error)
    }
}
