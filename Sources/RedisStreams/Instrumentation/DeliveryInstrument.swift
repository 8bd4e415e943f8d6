/// Hooks for what a consumer reads, and from which stream and group. ``Instrument/instrument(for:)`` says which consumer.
package protocol DeliveryInstrument: Instrument {
    /// New messages lie ready for handlers.
    func delivered(_ count: Int)

    /// Messages that another consumer, or an earlier life of this one, had left are delivered again.
    func redelivered(_ count: Int)

    /// The consumer claimed messages whose owner had not renewed its lease.
    func claimed(_ count: Int)

    /// A fan-out reader knows where it reads from, in all of its streams.
    func ready()

    /// The consumer has created its group, which was missing. `wasLost` says whether it was there before.
    func groupCreated(after position: StreamID, wasLost: Bool)

    /// The connection or the server failed, and the consumer goes on after `delay`.
    func interrupted(by error: RedisError, retryAfter delay: Duration)

    /// The consumer serves again after an interruption.
    func reconnected()

    /// Entries between two positions were trimmed before they were read; `count` is `nil` if the server cannot say how many.
    func trimmedUnread(_ count: Int?, after: StreamID, before: StreamID)

    /// A stream does not go on where it was read.
    func discontinued(_ discontinuity: Discontinuity)

    /// An entry could not be read.
    func unreadable(_ id: StreamID, in stream: StreamKey, because reason: String)

    /// The consumer removed other consumers from the group, which are gone and for which nothing was pending.
    func consumersRemoved(_ names: [String])

    /// The user of the connections has no right to these commands.
    func rightsMissing(_ commands: [String])
}

extension DeliveryInstrument {
    package func delivered(_ count: Int) {}
    package func redelivered(_ count: Int) {}
    package func claimed(_ count: Int) {}
    package func ready() {}
    package func groupCreated(after position: StreamID, wasLost: Bool) {}
    package func interrupted(by error: RedisError, retryAfter delay: Duration) {}
    package func reconnected() {}
    package func trimmedUnread(_ count: Int?, after: StreamID, before: StreamID) {}
    package func discontinued(_ discontinuity: Discontinuity) {}
    package func unreadable(_ id: StreamID, in stream: StreamKey, because reason: String) {}
    package func consumersRemoved(_ names: [String]) {}
    package func rightsMissing(_ commands: [String]) {}
}
