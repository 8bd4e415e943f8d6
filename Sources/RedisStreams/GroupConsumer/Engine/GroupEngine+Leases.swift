internal import Logging
internal import NIOCore

// Renews the leases of everything that is held, three times in the time of a lease and every five seconds at least, and
// looks after the group meanwhile.
extension GroupEngine {
    /// Without leases, how often to look after the group.
    private static let usualInterval = Duration.seconds(10)

    private nonisolated var interval: TimeAmount {
        // Consumers with shorter leases may be in the group: what is renewed as often is not theirs.
        TimeAmount(
            configuration.lease.map { max(.milliseconds(5), min($0 / 3, configuration.renewalInterval)) }
                ?? Self.usualInterval
        )
    }

    func beginRenewing() {
        guard configuration.acknowledgement.keepsPending else { return }
        isRenewing = true
        keepRenewing()
    }

    func endRenewing() {
        isRenewing = false
        leaseTimer?.cancel()
        leaseTimer = nil
        retryTimer?.cancel()
        retryTimer = nil
        giveBackTimer?.cancel()
        giveBackTimer = nil
    }

    /// There is something to be renewed, or to be looked after. A consumer that waits for messages has no timer.
    func keepRenewing() {
        if leaseTimer == nil { renew(in: interval) }
    }

    private func renew(in time: TimeAmount) {
        guard isRenewing else { return }
        leaseTimer?.cancel()
        leaseTimer = eventLoop.scheduleTask(in: time) { self.assumeIsolated { $0.renew() } }
    }

    private func renew() {
        leaseTimer = nil
        if configuration.lease != nil, configuration.safeguards.contains(.renewal) { renewLeases() }
        requeueDeferred()
        requeueOverdueQuarantined()
        reportOverdueHandlers()
        if !buffer.isStopping {
            if configuration.lease == nil { reclaimOrphans() }
            observeLater()
        }
        let hasNews = session.observer.counters.delivered != observedDeliveries
        let isBusy = session.hasUnsettled || !session.waitingIDs.isEmpty || session.isHandling
        if configuration.lease == nil || hasNews || isBusy { keepRenewing() }
    }

    /// Ids without their messages are this consumer's all the same, and their leases are renewed.
    func wait(for ids: [StreamID]) {
        session.wait(for: ids)
        keepRenewing()
    }

    // MARK: Leases

    /// The most ids in one step, but for batches that are larger: the server does nothing else meanwhile.
    private static let maxRenewed = 1000

    private func renewLeases() {
        guard let lease = configuration.lease.map({ TimeAmount($0) }) else { return }
        let now = session.leaseTime
        // What is fresher is old enough the next time.
        let (batches, waiting) = session.leases(leaseStartedBefore: now - .nanoseconds(interval.nanoseconds / 2))
        let lapsed = batches.filter { $0.0.leaseStart + lease <= now }.flatMap(\.1)
        lost(lapsed)
        let current = batches.filter { $0.0.leaseStart + lease > now }.map { (batch: Optional($0.0), ids: $0.1) }
        var ids: [StreamID] = []
        var part: [DeliveredBatch] = []
        for (batch, open) in current + waiting.map({ (batch: nil, ids: [$0]) }) {
            ids += open
            if let batch { part.append(batch) }
            guard ids.count >= Self.maxRenewed else { continue }
            renew(ids, of: part)
            (ids, part) = ([], [])
        }
        renew(ids, of: part)
    }

    private func renew(_ ids: [StreamID], of batches: [DeliveredBatch]) {
        if ids.isEmpty { return }
        guard let connection = pool.readyShared() else {
            pool.prepareShared()
            // There may be one before long.
            return renew(in: .nanoseconds(max(1_000_000, interval.nanoseconds / 8)))
        }
        let sent = session.leaseTime
        let call = consumer.call(.renew, ids: ids)
        let epoch = epoch
        connection.begin(call) { result in
            self.eventLoop.execute {
                self.assumeIsolated { engine in
                    // An id may be that of another entry now.
                    if epoch == engine.epoch { engine.renewed(batches, sent: sent, call, result) }
                }
            }
        }
    }

    private func renewed(
        _ batches: [DeliveredBatch],
        sent: NIODeadline,
        _ call: ScriptCall,
        _ result: Result<RedisReply, RedisError>
    ) {
        do throws(RedisError) {
            let reply = try result.get()
            let parts = Array(try call.elements(reply))
            guard parts.count == 3 else { throw call.unexpected(reply) }
            let others = try call.streamIDs(parts[0])
            tellOfEarlyClaims(of: others, by: try call.elements(parts[2]).map { $0.string ?? "" }, held: batches)
            lost(others)
            let deleted = try call.streamIDs(parts[1])
            session.forget(deleted)
            reportDeleted(deleted)
            for batch in batches { batch.grant(sent) }
        } catch {
            logger.info("could not renew the leases of messages", metadata: [LogKey.reason: "\(error)"])
            if error.code == .noGroup { groupWasLost() }
            guard !error.isRetriable, ![.noGroup, .cancelled].contains(error.code) else { return }
            // Such as a missing right: the messages would be claimed while they are handled.
            end(with: error)
        }
    }

    /// Whoever has claimed a message before its lease was over has a shorter one, or the server's clock has stepped.
    private func tellOfEarlyClaims(of ids: [StreamID], by owners: [String], held batches: [DeliveredBatch]) {
        guard !ids.isEmpty, let lease = configuration.lease.map({ TimeAmount($0) }) else { return }
        let now = session.leaseTime
        let current = batches.filter { $0.leaseStart + lease > now }
        var claimed: [String: [StreamID]] = [:]
        for (id, owner) in zip(ids, owners) where !owner.isEmpty && owner != consumer.name {
            let isHeld = current.contains { batch in batch.position(of: id).map { session.isOpen(batch, $0) } ?? false }
            if isHeld { claimed[owner, default: []].append(id) }
        }
        for (owner, ids) in claimed.sorted(by: { $0.key < $1.key }) {
            report(.claimedEarly(ids: ids, by: owner))
        }
    }

    /// Messages are others' now, or may be.
    private func lost(_ ids: [StreamID]) {
        if ids.isEmpty { return }
        quarantine.remove(ids)
        for id in ids {
            parked[id] = nil
            notes[id] = nil
        }
        // What was settled meanwhile is no loss.
        let lost = session.lose(ids)
        admitQuarantined()
        if lost.isEmpty { return }
        report(.leaseLost(ids: lost))
    }

    // MARK: Strays

    /// Where nobody claims, what this consumer was given and did not get would be found by nobody.
    private func reclaimOrphans() {
        guard machine.hasRecovered, configuration.safeguards.contains(.recovery), let connection = pool.readyShared() else {
            return
        }
        let command = XPENDING.Entries(
            consumer.stream,
            group: consumer.group,
            count: 1000,
            minIdle: Self.usualInterval,
            consumer: consumer.name
        )
        session.beginLookingBack()
        connection.begin(command) { outcome in
            self.eventLoop.execute {
                self.assumeIsolated { engine in
                    defer { engine.session.endLookingBack() }
                    engine.reportedDeleted = []
                    guard let entries = try? command.result(of: outcome).get() else { return }
                    engine.requestReclaim(engine.untaken(among: entries.map(\.id)), .known, source: .pending)
                }
            }
        }
    }

    // MARK: The group

    /// Looks at the group if anything may have changed.
    private func observeLater() {
        let delivered = session.observer.counters.delivered
        guard delivered != observedDeliveries || session.isHolding else { return }
        guard let connection = pool.readyShared() else { return pool.prepareShared() }
        // What is held now is done with later: then there is something new to see.
        observedDeliveries = session.isHolding ? -1 : delivered
        let call = consumer.call(.snapshot)
        connection.begin(call) { result in
            guard let reply = try? result.get() else { return }
            self.eventLoop.execute { self.assumeIsolated { $0.observed(reply, to: call) } }
        }
    }

    /// Looks at the group, and waits for what there is to be seen.
    func observe(on connection: RedisConnection) async {
        let delivered = session.observer.counters.delivered
        let call = consumer.call(.snapshot)
        guard let reply = try? await connection.run(call) else { return }
        observedDeliveries = delivered
        observed(reply, to: call)
    }

    private func observed(_ reply: RedisReply, to call: ScriptCall) {
        guard let sight = try? GroupSnapshot(reply, to: call), let trimmed = watch.observe(sight) else { return }
        report(.trimmedUnread(count: trimmed.count, after: trimmed.after, before: trimmed.before))
    }

    /// Where a missing group is to begin.
    func positionOfGroup(isLost: Bool, on connection: RedisConnection) async throws(RedisError) -> StreamID {
        if !isLost {
            switch configuration.start {
            case .beginning: return .zero
            case .id(let id): return id
            case .latest: return try await lastGeneratedID(on: connection)
            }
        }
        let last = try await lastGeneratedID(on: connection)
        switch configuration.groupLoss {
        case .beginning: return .zero
        case .latest: return last
        case .fail:
            throw RedisError(
                .noGroup,
                "The group \(consumer.group) was lost, and is not to be created again (groupLoss is .fail)."
            )
        case .resume:
            if !configuration.safeguards.contains(.watermark) { return last }
            guard let watermark = watch.watermark else { return .zero }
            if watermark <= last { return watermark }
            // The stream is another one than before.
            report(
                .discontinuity(
                    Discontinuity(
                        last == .zero ? .missing : .regressed,
                        stream: consumer.stream,
                        position: watermark,
                        lastID: last
                    )
                )
            )
            return .zero
        }
    }
}

extension GroupEngine {
    /// The last id that the stream has given out; zero if there is no stream.
    private func lastGeneratedID(on connection: RedisConnection) async throws(RedisError) -> StreamID {
        guard case .there(let found) = try await StreamProbe.probe([consumer.stream], on: connection)[consumer.stream]
        else { return .zero }
        return found.lastID
    }
}

extension RedisConnection {
    /// The last id that the stream has given out; zero if there is no stream. Not that of its last entry, which may have
    /// been deleted.
    ///
    /// Brings the first and the last entry, too, with all that is in them: for those who may not run scripts.
    func lastGeneratedID(of stream: StreamKey) async throws(RedisError) -> StreamID {
        do throws(RedisError) {
            return try await execute(XINFO.STREAM(stream)).lastGeneratedID
        } catch {
            // The one error of this command without a word of its own: there is no such key.
            guard error.serverCode == "ERR" else { throw error }
            return .zero
        }
    }
}
