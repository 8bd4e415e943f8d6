// The hooks that the parts of a consumer call. Those for which there is an event publish it; the others count.

extension ConsumerObserver: DeliveryInstrument {
    func delivered(_ count: Int) {
        if count == 0 { return }
        self.count { $0.delivered += count }
        for instrument in instruments.deliveries { instrument.delivered(count) }
    }

    func redelivered(_ count: Int) {
        if count == 0 { return }
        self.count { $0.redelivered += count }
        for instrument in instruments.deliveries { instrument.redelivered(count) }
    }

    func claimed(_ count: Int) { report(.claimed(count: count)) }

    func ready() { report(.ready) }

    func groupCreated(after position: StreamID, wasLost: Bool) {
        report(.groupCreated(after: position, wasLost: wasLost))
    }

    func interrupted(by error: RedisError, retryAfter delay: Duration) {
        report(.interrupted(error, retryAfter: delay))
    }

    func reconnected() { report(.reconnected) }

    func trimmedUnread(_ count: Int?, after: StreamID, before: StreamID) {
        report(.trimmedUnread(count: count, after: after, before: before))
    }

    func discontinued(_ discontinuity: Discontinuity) { report(.discontinuity(discontinuity)) }

    func unreadable(_ id: StreamID, in stream: StreamKey, because reason: String) {
        report(.unreadable(id: id, stream: stream, reason: reason))
    }

    func consumersRemoved(_ names: [String]) { report(.consumersRemoved(names: names)) }

    func rightsMissing(_ commands: [String]) { report(.rightsMissing(commands: commands)) }
}

extension ConsumerObserver: SettlementInstrument {
    func acknowledged(_ count: Int) {
        if count == 0 { return }
        self.count { $0.acknowledged += count }
        for instrument in instruments.settlements { instrument.acknowledged(count) }
    }

    func failed(_ id: StreamID) {
        count { $0.failures += 1 }
        for instrument in instruments.settlements { instrument.failed(id) }
    }

    func retrying(_ id: StreamID, failures: Int, after delay: Duration, because reason: String?) {
        report(.retrying(id: id, failures: failures, after: delay), because: reason)
    }

    func deadLettered(_ id: StreamID, entry: StreamID?, because reason: String) {
        report(.deadLettered(id: id, entry: entry, reason: reason))
    }

    func rejected(_ id: StreamID, because reason: String) { report(.rejected(id: id, reason: reason)) }

    func returned(_ count: Int) {
        if count == 0 { return }
        self.count { $0.returned += count }
        for instrument in instruments.settlements { instrument.returned(count) }
    }

    func leaseLost(_ ids: [StreamID]) { report(.leaseLost(ids: ids)) }

    func claimedEarly(_ ids: [StreamID], by consumer: String) {
        report(.claimedEarly(ids: ids, by: consumer))
    }

    func deleted(_ ids: [StreamID]) { report(.deleted(ids: ids)) }

    func unsettled(_ ids: [StreamID]) { report(.unsettled(ids: ids)) }

    func handlerRunsLong(_ id: StreamID, for time: Duration) { report(.handlerRunsLong(id: id, for: time)) }
}
