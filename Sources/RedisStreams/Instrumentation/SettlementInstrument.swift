/// Hooks for what becomes of the messages of a group consumer. ``Instrument/instrument(for:)`` says which consumer.
package protocol SettlementInstrument: Instrument {
    /// The server has acknowledged messages for this consumer.
    func acknowledged(_ count: Int)

    /// A handler failed. What becomes of the message follows: `retrying`, `deadLettered`, `rejected`, or nothing if the
    /// message is lost.
    func failed(_ id: StreamID)

    /// A message that failed is handled again after `delay`. `failures` counts how often it has failed; `reason` is the
    /// handler's error, as far as the configuration allows to say it.
    func retrying(_ id: StreamID, failures: Int, after delay: Duration, because reason: String?)

    /// A message became the dead letter entry `entry`; `nil` if its id was not learnt, since the reply was lost.
    func deadLettered(_ id: StreamID, entry: StreamID?, because reason: String)

    /// A message was refused by its handler, and acknowledged without a dead letter entry.
    func rejected(_ id: StreamID, because reason: String)

    /// The consumer returned messages to the group, since no handler was free for too long.
    func returned(_ count: Int)

    /// This consumer's leases of messages have expired: another consumer may handle them.
    func leaseLost(_ ids: [StreamID])

    /// Another consumer has claimed messages whose leases had not expired.
    func claimedEarly(_ ids: [StreamID], by consumer: String)

    /// Entries were deleted or trimmed while they were pending.
    func deleted(_ ids: [StreamID])

    /// The consumer ended before the server had these settlements.
    func unsettled(_ ids: [StreamID])

    /// A handler has been at work for `time`, and still is.
    func handlerRunsLong(_ id: StreamID, for time: Duration)
}

extension SettlementInstrument {
    package func acknowledged(_ count: Int) {}
    package func failed(_ id: StreamID) {}
    package func retrying(_ id: StreamID, failures: Int, after delay: Duration, because reason: String?) {}
    package func deadLettered(_ id: StreamID, entry: StreamID?, because reason: String) {}
    package func rejected(_ id: StreamID, because reason: String) {}
    package func returned(_ count: Int) {}
    package func leaseLost(_ ids: [StreamID]) {}
    package func claimedEarly(_ ids: [StreamID], by consumer: String) {}
    package func deleted(_ ids: [StreamID]) {}
    package func unsettled(_ ids: [StreamID]) {}
    package func handlerRunsLong(_ id: StreamID, for time: Duration) {}
}
