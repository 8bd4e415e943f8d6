extension ConsumerEvent {
    /// Calls the hook that is named for this event.
    ///
    /// - Parameter reason: Why a handler failed, where the event does not say it.
    func report(to instruments: Instruments, because reason: String?) {
        for instrument in instruments.deliveries { report(to: instrument) }
        for instrument in instruments.settlements { report(to: instrument, because: reason) }
    }

    private func report(to instrument: any DeliveryInstrument) {
        switch self {
        case .claimed(let count): instrument.claimed(count)
        case .ready: instrument.ready()
        case .groupCreated(let position, let wasLost): instrument.groupCreated(after: position, wasLost: wasLost)
        case .interrupted(let error, let delay): instrument.interrupted(by: error, retryAfter: delay)
        case .reconnected: instrument.reconnected()
        case .trimmedUnread(let count, let after, let before):
            instrument.trimmedUnread(count, after: after, before: before)
        case .discontinuity(let found): instrument.discontinued(found)
        case .unreadable(let id, let stream, let reason): instrument.unreadable(id, in: stream, because: reason)
        case .consumersRemoved(let names): instrument.consumersRemoved(names)
        case .rightsMissing(let commands): instrument.rightsMissing(commands)
        case .leaseLost, .retrying, .deadLettered, .rejected, .deleted, .claimedEarly, .unsettled, .handlerRunsLong:
            break
        }
    }

    private func report(to instrument: any SettlementInstrument, because reason: String?) {
        switch self {
        case .leaseLost(let ids): instrument.leaseLost(ids)
        case .retrying(let id, let failures, let delay):
            instrument.retrying(id, failures: failures, after: delay, because: reason)
        case .deadLettered(let id, let entry, let cause): instrument.deadLettered(id, entry: entry, because: cause)
        case .rejected(let id, let cause): instrument.rejected(id, because: cause)
        case .deleted(let ids): instrument.deleted(ids)
        case .claimedEarly(let ids, let consumer): instrument.claimedEarly(ids, by: consumer)
        case .unsettled(let ids): instrument.unsettled(ids)
        case .handlerRunsLong(let id, let time): instrument.handlerRunsLong(id, for: time)
        case .claimed, .ready, .groupCreated, .interrupted, .reconnected, .trimmedUnread, .discontinuity: break
        case .unreadable, .consumersRemoved, .rightsMissing: break
        }
    }
}
