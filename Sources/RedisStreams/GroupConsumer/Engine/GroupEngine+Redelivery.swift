internal import Logging
internal import NIOCore

/// Whether messages are counted as delivered once more when they are taken, and which are left alone.
enum TakeMode: String, Sendable {
    /// Those that were delivered without an outcome are left alone, the others counted.
    case fair
    /// All are counted.
    case suspects
    /// None is counted: it was this consumer that was given them, and did not get them.
    case known
}

/// What is known of a message that has to be taken once more.
struct TakingNote: Sendable, Equatable {
    /// How it came to this consumer.
    var source = GroupMessage.Source.pending
    /// Whether it may be counted as delivered already: it was taken, and the reply was lost.
    var isCounted = false
}

/// What the script `take` returns.
struct TakenMessages: Sendable {
    var batch: MessageBatch
    /// One for each message of the batch.
    var counts: [DeliveryCount] = []
    /// Those that were left alone.
    var suspects: [GroupConsumerStateMachine.Suspect] = []
    var deleted: [StreamID] = []

    init(_ reply: RedisReply, to call: ScriptCall, of stream: StreamKey) throws(RedisError) {
        let parts = Array(try call.elements(reply))
        guard parts.count == 2 else { throw call.unexpected(reply) }
        batch = try call.batch(of: stream, parts[0])
        let states = Array(try call.elements(parts[1]))
        for first in stride(from: 0, to: states.count - states.count % 3, by: 3) {
            let id = try call.streamID(states[first])
            let count = DeliveryCount(try call.integer(states[first + 1]))
            switch try call.integer(states[first + 2]) {
            case 0: suspects.append(.init(id: id, deaths: count.unresolved))
            case 1: counts.append(count)
            default: deleted.append(id)
            }
        }
        guard counts.count == batch.count else { throw call.unexpected(reply) }
    }

    /// Leaves out the messages whose ids are not among these.
    mutating func keep(_ ids: Set<StreamID>) {
        counts = zip(batch, counts).filter { ids.contains($0.0.id) }.map(\.1)
        batch = batch.filter { ids.contains($0.id) }
    }
}

// Taking messages again that are pending for this consumer: from an earlier life, from others, or because they failed.
extension GroupEngine {
    /// How many messages are taken at a time: the server does nothing else meanwhile.
    private static let maxTaken = 100

    /// Looks through a page of the own pending list, and hands over what is not known.
    func sweep(after id: StreamID, on connection: RedisConnection) async throws(RedisError) {
        // What was settled must not be delivered again.
        if !session.isDone { await settleRest() }
        session.beginLookingBack()
        defer { session.endLookingBack() }
        let page = min(machine.count, Self.maxTaken)
        let entries = try await connection.execute(consumer.pendingEntries(after: id, count: page))
        let ids = untaken(among: entries.map(\.id))
        if !ids.isEmpty {
            // What turns up after the first time was given to this consumer, and got lost on the way.
            let mode: TakeMode = machine.hasSwept || !configuration.acknowledgement.keepsPending ? .known : .fair
            try await take(ids, mode, source: .pending, on: connection)
        }
        let isFirst = !machine.hasSwept
        let last = entries.count == page ? entries.last?.id : nil
        // What was not there is others' by now, who count for themselves.
        let there = Set(entries.map(\.id))
        notes = notes.filter { $0.key <= id || $0.key > last ?? .max || there.contains($0.key) }
        machine.swept(last: last)
        if isFirst, machine.hasSwept { await observe(on: connection) }
    }

    /// Which of the ids are to be taken: those that this consumer does not know of. What waits to be retried waits for its
    /// time, although the server's clock may have gone ahead.
    func untaken(among ids: [StreamID]) -> [StreamID] {
        let unknown = session.unknown(among: ids)
        if unknown.isEmpty { return [] }
        let retried = Set(retries.ids)
        return unknown.filter { !retried.contains($0) }
    }

    private func take(
        _ ids: [StreamID],
        _ mode: TakeMode,
        source: GroupMessage.Source,
        on connection: RedisConnection
    ) async throws(RedisError) {
        let sent = session.leaseTime
        let call = consumer.call(.take, mode: mode, ids: ids)
        let taken: TakenMessages
        do throws(RedisError) {
            taken = try TakenMessages(try await connection.run(call), to: call, of: consumer.stream)
        } catch {
            if error.mayHaveExecuted { noteCounted(ids) }
            throw error
        }
        if configuration.acknowledgement == .onDelivery, !taken.batch.isEmpty {
            // Handed out only once the server has it as acknowledged: else it could be handled twice.
            _ = try await connection.execute(consumer.xack(taken.batch.map(\.id)))
            session.observer.count { $0.acknowledged += taken.batch.count }
        }
        took(taken, of: ids, sent: sent, source: source)
    }

    private func noteCounted(_ ids: [StreamID]) {
        for id in ids { notes[id, default: TakingNote()].isCounted = true }
    }

    /// Takes messages without waiting for them, on a shared connection, since a read may wait on this one. Where that cannot
    /// be now, it is tried again in a little while.
    func beginTaking(_ ids: [StreamID], _ mode: TakeMode, source: GroupMessage.Source) {
        if ids.isEmpty { return }
        // Until the server has told, their counts are what they were.
        wait(for: ids)
        if mailbox.isStopping { return }
        // Nothing keeps a suspect company.
        guard !isAlone, let shared = pool.readyShared() else {
            pool.prepareShared()
            eventLoop.scheduleTask(in: .milliseconds(100)) {
                self.assumeIsolated { engine in
                    engine.session.stopWaiting(for: ids)
                    engine.beginTaking(engine.session.unknown(among: ids), mode, source: source)
                }
            }
            return
        }
        for first in stride(from: 0, to: ids.count, by: Self.maxTaken) {
            beginTaking(part: Array(ids[first..<min(first + Self.maxTaken, ids.count)]), mode, source, on: shared)
        }
    }

    private func beginTaking(
        part: [StreamID],
        _ mode: TakeMode,
        _ source: GroupMessage.Source,
        on shared: RedisConnection
    ) {
        let call = consumer.call(.take, mode: mode, ids: part)
        let sent = session.leaseTime
        expected += part.count
        // Steps that are awaited wait for this, too.
        pipeline.began()
        session.beginLookingBack()
        shared.begin(call) { result in
            self.eventLoop.execute {
                self.assumeIsolated { engine in
                    engine.expected -= part.count
                    engine.pipeline.ended()
                    do throws(RedisError) {
                        let taken = try TakenMessages(try result.get(), to: call, of: engine.consumer.stream)
                        engine.session.stopWaiting(for: part)
                        engine.took(taken, of: part, sent: sent, source: source)
                    } catch {
                        engine.couldNotTake(part, error, source: source)
                    }
                    engine.session.endLookingBack()
                    if let connection = engine.connection { engine.goOn(on: connection) }
                }
            }
        }
    }

    /// It is not known whether they were taken. If they were, nobody has died of that: they are taken once more, alone, and
    /// not counted.
    private func couldNotTake(_ ids: [StreamID], _ error: RedisError, source: GroupMessage.Source) {
        logger.info("could not take messages", metadata: [LogKey.reason: "\(error.code)"])
        guard error.mayHaveExecuted, error.isRetriable, configuration.acknowledgement != .manual else {
            return session.stopWaiting(for: ids)
        }
        noteCounted(ids)
        suspect(ids.map { .init(id: $0) }, source: source)
    }

    /// Hands over what was taken of `ids`, but for what is known meanwhile, and what is given up.
    private func took(
        _ taken: TakenMessages,
        of ids: [StreamID],
        sent: NIODeadline,
        source: GroupMessage.Source
    ) {
        var taken = taken
        for id in Set(ids).subtracting(taken.suspects.map(\.id)) { notes[id] = nil }
        if !taken.deleted.isEmpty {
            // Redis 6.2 keeps them pending.
            session.add(.acknowledge(taken.deleted, isProven: false))
            reportDeleted(taken.deleted)
        }
        if !taken.suspects.isEmpty { suspect(taken.suspects, source: source) }
        taken.keep(Set(session.unknown(among: taken.batch.map(\.id))))
        var given = Set<StreamID>()
        for (message, count) in zip(taken.batch, taken.counts) {
            guard let letter = configuration.deadLetter, letter.holds(message),
                let verdict = session.rules.verdict(on: count)
            else {
                given.insert(message.id)
                continue
            }
            session.add(.emit(letter.emission(of: message, group: consumer.group, verdict: verdict)))
        }
        if given.count < taken.batch.count { taken.keep(given) }
        session.observer.count { $0.redelivered += taken.batch.count }
        deliver(taken.batch, counts: taken.counts, source: source, granted: sent)
    }

    // MARK: Suspects

    /// Somebody may have died of these: they are handled apart, so that they take nothing else along. Where the user says
    /// when a message is done with, that could take for ever.
    private func suspect(_ suspects: [GroupConsumerStateMachine.Suspect], source: GroupMessage.Source) {
        let ids = suspects.map(\.id)
        if configuration.acknowledgement == .manual { return beginTaking(ids, .suspects, source: source) }
        for id in ids { notes[id, default: TakingNote()].source = source }
        wait(for: ids)
        machine.suspect(suspects)
        logger.info("messages are handled apart", metadata: [LogKey.count: "\(ids.count)"])
    }

    /// Takes suspects as soon as nothing else is held, and waits until they are done with. Of several, those that can be
    /// taken in one step.
    func takeSuspects(_ ids: [StreamID], on connection: RedisConnection) async throws(RedisError) {
        isAlone = true
        defer {
            isAlone = false
            armRetryTimer()
        }
        await session.waitUntilNothingIsHeld()
        if mailbox.isStopping || Task.isCancelled { return }
        session.beginLookingBack()
        defer { session.endLookingBack() }
        let note = ids.first.flatMap { notes[$0] } ?? TakingNote()
        let ids = ids.filter { notes[$0] ?? TakingNote() == note }
        session.stopWaiting(for: ids)
        do throws(RedisError) {
            try await take(ids, note.isCounted ? .known : .suspects, source: note.source, on: connection)
        } catch {
            wait(for: ids)
            throw error
        }
        machine.tookSuspects(ids)
        await session.waitUntilNothingIsHeld()
    }

    // MARK: Retries

    /// Messages were set aside, to be handled again.
    func schedule(_ asides: [SetAside]) {
        let horizon = configuration.lease.map { eventLoop.now + TimeAmount($0) }
        for aside in asides {
            guard let due = aside.due else { continue }
            if let horizon, due > horizon {
                parked[aside.id] = aside
                wait(for: [aside.id])
            } else {
                retries.add(aside.id, due: due)
            }
        }
        armRetryTimer()
    }

    private func armRetryTimer() {
        retryTimer?.cancel()
        retryTimer = nil
        guard let next = retries.next, !isAlone, !mailbox.isStopping else { return }
        retryTimer = eventLoop.scheduleTask(deadline: next) { self.assumeIsolated { $0.retryDue() } }
    }

    private func retryDue() {
        retryTimer = nil
        if mailbox.isStopping || isAlone { return }
        let room = mailbox.room(besides: expected - expectedLater)
        if room > 0 {
            let due = retries.takeDue(now: eventLoop.now, atMost: min(Self.maxTaken, room))
            beginTaking(due, .fair, source: .retried)
            return armRetryTimer()
        }
        // Without leases nobody else looks for them.
        if configuration.lease != nil { _ = retries.takeDue(now: eventLoop.now, atMost: .max) }
        retryTimer = eventLoop.scheduleTask(in: .milliseconds(100)) { self.assumeIsolated { $0.retryDue() } }
    }

    /// What is parked and due within a lease is set aside again, with the time that is left.
    func unpark() {
        guard let lease = configuration.lease else { return }
        let horizon = eventLoop.now + TimeAmount(lease)
        let near = parked.values.filter { $0.due.map { $0 <= horizon } ?? true }.sorted { $0.id < $1.id }
        if near.isEmpty { return }
        for aside in near { parked[aside.id] = nil }
        session.stopWaiting(for: near.map(\.id))
        session.add(.setAside(near))
    }
}
