internal import Logging
internal import NIOCore

/// Renews the leases of all messages that this consumer owns: held messages, and ids that wait for their time or their
/// bodies.
actor LeaseRenewer: EventLoopActor {
    nonisolated let eventLoop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe eventLoop.executor.asUnownedSerialExecutor() }

    /// The parts that act on the result of a renewal.
    struct Listeners: Sendable {
        /// The group of this epoch does not exist any more.
        var groupWasLost: @Sendable (_ epoch: Int) -> Void = { _ in }
        /// A retry does not mend this error: the consumer ends.
        var cannotGoOn: @Sendable (RedisError) -> Void = { _ in }
    }

    private let consumer: GroupConsumer
    private let dispatcher: Dispatcher
    private let deleted: DeletedEntries
    private let listeners: Listeners
    private let lease: TimeAmount?
    /// How often leases are renewed.
    private let interval: TimeAmount

    private var pending: PendingMessages { dispatcher.pending }
    private var route: any Route { consumer.route }

    init(
        _ consumer: GroupConsumer,
        _ dispatcher: Dispatcher,
        _ deleted: DeletedEntries,
        interval: TimeAmount,
        _ listeners: Listeners
    ) {
        eventLoop = dispatcher.pending.eventLoop
        self.consumer = consumer
        self.dispatcher = dispatcher
        self.deleted = deleted
        self.interval = interval
        self.listeners = listeners
        let configuration = consumer.configuration
        lease = configuration.safeguards.contains(.renewal) ? configuration.lease.map { TimeAmount($0) } : nil
    }

    /// Renews the leases that are due. Returns `false` if there was no connection for that.
    func renew() -> Bool {
        guard let lease else { return true }
        let now = pending.leaseTime
        // A lease that is younger than half an interval is renewed in the next round.
        let latest = now - .nanoseconds(interval.nanoseconds / 2)
        let (batches, unheld) = pending.read { ($0.leases(startedBefore: latest), $0.unheldIDs) }
        let plan = RenewalPlan(batches, unheld: unheld, lease: lease, now: now)
        lose(plan.expired)
        for piece in plan.pieces {
            guard let connection = route.readyShared() else {
                route.prepareShared()
                return false
            }
            sendRenewal(of: piece, on: connection)
        }
        return true
    }

    private func sendRenewal(of piece: RenewalPlan.Piece, on connection: RedisConnection) {
        let sent = pending.leaseTime
        let call = consumer.call(.renew, ids: piece.ids)
        let epoch = pending.read({ $0.epoch })
        connection.enqueueScript(call) { result in
            self.later { renewer in
                // In a new epoch, an id may belong to another entry.
                if epoch == renewer.pending.read({ $0.epoch }) {
                    renewer.renewed(piece.batches, sent: sent, call, result)
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
            reportEarlyClaims(of: others, by: try call.elements(parts[2]).map { $0.string ?? "" }, held: batches)
            lose(others)
            let gone = try call.streamIDs(parts[1])
            if !gone.isEmpty { pending.change { $0.delete(gone) } }
            deleted.report(gone)
            for batch in batches { batch.renewLease(from: sent) }
        } catch {
            route.follow(error)
            consumer.observer.log.logger.info(
                "could not renew the leases of messages",
                metadata: [LogKey.reason: "\(error)"]
            )
            if error.code == .noGroup, route.asksOwnerAgain() { return }
            if error.code == .noGroup { return listeners.groupWasLost(pending.read({ $0.epoch })) }
            if error.isRetriable || error.code == .cancelled { return }
            // Such as a missing right: other consumers would claim the messages while this one handles them.
            listeners.cannotGoOn(error)
        }
    }

    /// A consumer that claims a message before its lease has expired has a shorter one, or the server's clock has
    /// stepped.
    private func reportEarlyClaims(of ids: [StreamID], by owners: [String], held batches: [DeliveredBatch]) {
        guard !ids.isEmpty, let lease else { return }
        let now = pending.leaseTime
        let current = batches.filter { $0.leaseStart + lease > now }
        var claimed: [String: [StreamID]] = [:]
        for (id, owner) in zip(ids, owners) where !owner.isEmpty && owner != consumer.name {
            let isHeld = current.contains { batch in
                batch.position(of: id).map { pending.hasNoOutcome(batch, $0) } ?? false
            }
            if isHeld { claimed[owner, default: []].append(id) }
        }
        for (owner, ids) in claimed.sorted(by: { $0.key < $1.key }) {
            consumer.observer.report(.claimedEarly(ids: ids, by: owner))
        }
    }

    /// Another consumer owns these messages, or may own them: cancels their handlers, whose outcomes have no effect any
    /// more.
    private func lose(_ ids: [StreamID]) {
        if ids.isEmpty { return }
        let lost = pending.change { $0.lose(ids) }
        dispatcher.cancelHandlers(of: lost)
        // Messages with an outcome were not lost.
        if !lost.isEmpty { consumer.observer.report(.leaseLost(ids: lost.map(\.id))) }
    }
}
