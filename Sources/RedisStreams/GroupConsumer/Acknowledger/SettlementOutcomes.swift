internal import Logging
internal import NIOCore

/// Acts on the reply to a settlement: the entry leaves the table, the settlement is sent again, or the consumer ends.
/// Called on the event loop of the connection that received the reply.
struct SettlementOutcomes: Sendable {
    /// The parts that act on the result of a settlement.
    struct Listeners: Sendable {
        /// Messages were scheduled.
        var scheduled: @Sendable () -> Void = {}
        /// The group of this epoch does not exist any more.
        var groupWasLost: @Sendable (_ epoch: Int) -> Void = { _ in }
        /// A retry does not mend this error: the consumer ends.
        var cannotGoOn: @Sendable (RedisError) -> Void = { _ in }
    }

    private let configuration: GroupConsumer.Configuration
    private let dispatcher: Dispatcher
    private let observer: ConsumerObserver
    private let route: any Route
    private let listeners: Listeners
    /// Whether the client may get to another master, which does not know of the latest acknowledgements.
    private let mayFailOver: Bool

    private var pending: PendingMessages { dispatcher.pending }
    private var logger: Logger { observer.log.logger }

    init(_ consumer: GroupConsumer, _ dispatcher: Dispatcher, _ listeners: Listeners) {
        configuration = consumer.configuration
        observer = consumer.observer
        route = consumer.route
        mayFailOver = consumer.client.configuration.topology != .single
        self.dispatcher = dispatcher
        self.listeners = listeners
    }

    func ended(_ sent: SentSettlement, _ result: Result<SettlementReply, RedisError>) {
        // A reply of a group that was lost since then says nothing about the group of the current epoch.
        guard pending.read({ $0.isCurrent(sent) }) else { return pending.confirm(sent) }
        switch result {
        case .success(let reply): succeeded(sent, reply)
        case .failure(let error): failed(sent, error)
        }
    }

    // MARK: Replies

    private func succeeded(_ sent: SentSettlement, _ reply: SettlementReply) {
        if mayFailOver { remember(sent.settlement) }
        switch (sent.settlement, reply) {
        case (.acknowledge(let ids, _), .acknowledged(let count)):
            observer.acknowledged(max(0, min(count, ids.count)))
        case (.requeue(let requeues), .requeued(let others)): return requeued(requeues, except: others, sent)
        case (.publish(let publication), .published(let ids)): published(publication, ids)
        default: break
        }
        pending.confirm(sent)
    }

    private func remember(_ settlement: Settlement) {
        if case .requeue = settlement { return }
        let now = pending.leaseTime
        pending.change { $0.rememberAcknowledged(settlement.ids, at: now) }
    }

    private func requeued(_ requeues: [Requeue], except others: [StreamID], _ sent: SentSettlement) {
        if !others.isEmpty { observer.report(.leaseLost(ids: others)) }
        let returned = requeues.count { $0.due == nil }
        if returned > 0 { logger.info("returned messages to the group", metadata: [LogKey.count: "\(returned)"]) }
        let horizon = configuration.lease.map { pending.eventLoop.now + TimeAmount($0) }
        let outcome = PendingTable.RequeueOutcome(
            others: Set(others),
            horizon: horizon,
            isEnding: dispatcher.buffer.isStopping
        )
        pending.confirm(sent, requeueing: outcome)
        if returned < requeues.count { listeners.scheduled() }
    }

    private func published(_ publication: Publication, _ ids: [StreamID]?) {
        if ids != nil { observer.acknowledged(1) }
        // The server added nothing, since another consumer owns the message.
        if ids == nil, !publication.mayHaveExecuted { return observer.report(.leaseLost(ids: [publication.id])) }
        guard let reason = publication.deadLetterReason else { return }
        observer.report(
            .deadLettered(id: publication.id, entry: ids?.first, reason: reason.text),
            because: "\(reason.error): \(reason.text)"
        )
    }

    // MARK: Failures

    private func failed(_ sent: SentSettlement, _ error: RedisError) {
        switch sent.settlement {
        case .acknowledge, .requeue: route.follow(error)
        // It has several keys, and Redis 6.2 answers ASK if one of them is missing.
        case .publish: break
        }
        if error.code == .noGroup, route.asksOwnerAgain() { return pending.restore(sent) }
        logger.debug("could not acknowledge or return messages", metadata: [LogKey.reason: "\(error)"])
        // If the reply could not be read, the server may have executed the command.
        let isNoRefusal = [.cancelled, .replyTooLarge, .protocolViolation].contains(error.code)
        if error.isRetriable || isNoRefusal {
            guard configuration.safeguards.contains(.reacknowledge) else { return pending.confirm(sent) }
            return pending.restore(sent)
        }
        pending.confirm(sent)
        switch (sent.settlement, error.code) {
        // The server lost its pending messages with the group: they are delivered again, or were acknowledged.
        case (_, .noGroup): return listeners.groupWasLost(sent.epoch)
        case (.publish(let publication), .wrongType), (.publish(let publication), .serverError),
            (.publish(let publication), .crossSlot), (.publish(let publication), .permissionDenied):
            if publication.deadLetterReason != nil { break }
            logger.warning(
                "the server refused entries that a handler emitted",
                metadata: [LogKey.message: "\(publication.id)", LogKey.reason: "\(error)"]
            )
            return pending.refused(publication)
        default: break
        }
        // If the consumer read on, messages that it cannot settle would only pile up.
        listeners.cannotGoOn(error)
    }
}
