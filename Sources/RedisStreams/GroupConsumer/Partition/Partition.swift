internal import Logging
internal import NIOCore
internal import Synchronization

/// One stream of one group in one running consumer. It owns the parts and connects them, and decides nothing.
final class Partition: Sendable {
    let dispatcher: Dispatcher
    private let consumer: GroupConsumer
    private let parts: GroupReader.Parts
    private let reader: GroupReader
    private let renewer: LeaseRenewer
    private let handover: Handover
    private let endDeadline: EndDeadline

    private var pending: PendingMessages { dispatcher.pending }

    /// - Parameters:
    ///   - dispatcher: Hands messages to the handlers.
    ///   - awaitsHandlers: Whether to go on acknowledging after the task was cancelled, until the owner of the handlers
    ///     calls `finish` on the dispatcher. The owner must do so.
    init(_ consumer: GroupConsumer, _ dispatcher: Dispatcher, awaitsHandlers: Bool) {
        let link = Link()
        let pending = dispatcher.pending
        let eventLoop = pending.eventLoop
        let buffer = dispatcher.buffer
        let deleted = DeletedEntries(consumer.observer)
        let reservations = Reservations()
        let endDeadline = EndDeadline(consumer, pending, awaitsHandlers: awaitsHandlers)
        let groupWasLost: @Sendable (Int) -> Void = { epoch in link.later { $0.groupWasLost(epoch) } }
        let cannotGoOn: @Sendable (RedisError) -> Void = { error in link.partition?.reader.end(with: error) }
        let letOthersClaim: @Sendable () -> Void = {
            link.partition?.reader.assumeIsolated { $0.letOthersClaim() }
        }
        let upkeep = Upkeep(consumer.configuration, on: eventLoop) { link.partition?.runUpkeep() ?? .stop }
        let redelivery = Redelivery(
            consumer,
            dispatcher,
            deleted,
            reservations,
            .init(
                needsUpkeep: { upkeep.start() },
                ended: { link.partition?.reader.assumeIsolated { $0.reclaimEnded() } },
                deliver: { batch, bytes in
                    link.partition?.reader.assumeIsolated { $0.deliver(batch, bytes: bytes) }
                },
                returned: letOthersClaim,
                groupWasLost: { epoch in link.partition?.groupWasLost(epoch) },
                cannotGoOn: cannotGoOn
            )
        )
        let scheduled: @Sendable () -> Void = {
            redelivery.later { $0.armRetryTimer() }
            upkeep.later { $0.start() }
        }
        let outcomes = SettlementOutcomes(
            consumer,
            dispatcher,
            .init(scheduled: scheduled, groupWasLost: groupWasLost, cannotGoOn: cannotGoOn)
        )
        let acknowledger = Acknowledger(consumer, pending, outcomes, endDeadline, awaitsHandlers: awaitsHandlers)
        pending.listen(
            .init(
                outcomesWait: { [weak acknowledger] in acknowledger?.later { $0.outcomesWait() } },
                slotIsFree: { [weak redelivery] in redelivery?.later { $0.admitQuarantined() } },
                heldBack: { [weak buffer] in buffer?.setHeldBack($0) }
            )
        )
        parts = GroupReader.Parts(
            dispatcher: dispatcher,
            reservations: reservations,
            deleted: deleted,
            acknowledger: acknowledger,
            redelivery: redelivery,
            lifecycle: GroupLifecycle(consumer, dispatcher),
            idleRemoval: IdleConsumerRemoval(consumer, dispatcher),
            upkeep: upkeep,
            waitLimit: WaitLimit(consumer, dispatcher, onReturn: letOthersClaim)
        )
        self.consumer = consumer
        self.dispatcher = dispatcher
        self.endDeadline = endDeadline
        reader = GroupReader(consumer, parts, awaitsHandlers: awaitsHandlers)
        renewer = LeaseRenewer(
            consumer,
            dispatcher,
            deleted,
            interval: upkeep.interval,
            .init(groupWasLost: groupWasLost, cannotGoOn: cannotGoOn)
        )
        handover = Handover(consumer, dispatcher, acknowledger.commands, deleted, endDeadline)
        link.connect(self)
    }

    // MARK: The run

    /// Runs the consumer until the dispatcher is finished, all queued outcomes were sent, and the other messages were
    /// returned; or until an error that a retry does not mend. The buffer throws that error to the reader of messages.
    ///
    /// A server that does not answer cannot delay the end: see `EndDeadline`.
    func run() async {
        logger.info("consumer started")
        let work = Task {
            await self.serve()
            self.endDeadline.hasEnded.fire()
        }
        await withTaskCancellationHandler {
            await endDeadline.hasEnded.waitInAnyCase()
        } onCancel: {
            work.cancel()
        }
        reportUnsettled()
    }

    private func serve() async {
        let keepsPending = consumer.configuration.acknowledgement.keepsPending
        if keepsPending {
            await parts.upkeep.begin()
            await parts.waitLimit.begin()
        }
        await parts.idleRemoval.begin()
        await withDiscardingTaskGroup { group in
            group.addTask { await self.parts.acknowledger.runSlowPath() }
            await self.dispatcher.buffer.whileOpen {
                await withDiscardingTaskGroup { group in
                    group.addTask { await self.parts.redelivery.serve() }
                    await self.reader.readLoop()
                    group.cancelAll()
                }
            } ending: {
                await self.endDeadline.arm()
                await self.reader.endRead()
            }
        }
        await parts.upkeep.end()
        await parts.waitLimit.end()
        await parts.redelivery.stopRetrying()
        await parts.idleRemoval.end()
        // Settlements that were sent with the last read are queued again if their replies were lost.
        await parts.acknowledger.sendAll()
        await handover.run(after: reader.connection, hasRecovered: reader.hasRecovered)
        await endDeadline.disarm()
        if !dispatcher.buffer.hasFailed { logger.info("consumer stopped") }
    }

    private var logger: Logger { consumer.observer.log.logger }

    /// Reports the messages whose outcome the server has not confirmed.
    private func reportUnsettled() {
        let ids = pending.read({ $0.unsettledIDs })
        if !ids.isEmpty { consumer.observer.report(.unsettled(ids: ids)) }
    }

    // MARK: On the event loop

    /// One round of the upkeep. Returns whether and when the next one follows.
    private func runUpkeep() -> Upkeep.Next {
        let configuration = consumer.configuration
        let hasRenewed = renewer.assumeIsolated { $0.renew() }
        parts.redelivery.assumeIsolated { redelivery in
            redelivery.requeueDeferred()
            redelivery.requeueOverdueQuarantined()
        }
        for (id, age) in dispatcher.overdueHandlers(after: TimeAmount(configuration.effectiveHandlerWarning)) {
            consumer.observer.report(.handlerRunsLong(id: id, for: .nanoseconds(age.nanoseconds)))
        }
        if !dispatcher.buffer.isStopping {
            if configuration.lease == nil, reader.assumeIsolated({ $0.hasRecovered }) {
                parts.redelivery.assumeIsolated { $0.reclaimOrphans() }
            }
            parts.lifecycle.assumeIsolated { $0.observeIfNeeded() }
        }
        if !hasRenewed { return .retrySoon }
        let hasWork = pending.read { $0.hasUnsettled || $0.hasUnheld } || dispatcher.isHandling
        let hasNews = parts.lifecycle.assumeIsolated({ $0.hasNews })
        return configuration.lease == nil || hasNews || hasWork ? .goOn : .stop
    }

    /// A command other than a read has failed because the group of this epoch does not exist.
    private func groupWasLost(_ epoch: Int) {
        guard pending.read({ $0.epoch }) == epoch else { return }
        reader.assumeIsolated { $0.groupWasLost() }
    }

    /// The reference of the parts to the partition that owns them.
    private final class Link: Sendable {
        private struct Weak: @unchecked Sendable {
            // SAFETY: guarded by the lock of the link.
            weak var partition: Partition?
        }

        private let state = Mutex(Weak())

        func connect(_ partition: Partition) { state.withLock { $0.partition = partition } }

        var partition: Partition? { state.withLock { $0.partition } }

        /// Calls `body` on the event loop, in a later turn.
        func later(_ body: @escaping @Sendable (Partition) -> Void) {
            guard let partition else { return }
            partition.pending.eventLoop.execute { body(partition) }
        }
    }
}
