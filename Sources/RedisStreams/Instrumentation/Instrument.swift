/// Listens to what a client does: logs, counts, measures.
///
/// An instrument conforms to the protocols of the hooks that it wants to hear: ``CommandInstrument``,
/// ``ConnectionInstrument``, ``PoolInstrument``, ``TopologyInstrument``, ``DeliveryInstrument``, ``SettlementInstrument``.
/// Each hook is named for what has happened and has a default that does nothing. A client asks once which protocols an instrument conforms to, so that
/// hooks without a listener cost nothing on the path of a command or a message.
///
/// Hooks are called where things happen, mostly on an event loop: they must return soon, and may not block.
package protocol Instrument: Sendable {
    /// The instrument for one consumer. A client asks once for each consumer, so that an instrument can bind its labels then
    /// and not with each message. The default is the same instrument for all.
    func instrument(for consumer: ConsumerIdentity) -> any Instrument
}

extension Instrument {
    package func instrument(for consumer: ConsumerIdentity) -> any Instrument { self }
}

/// Which consumer something happened to.
package struct ConsumerIdentity: Sendable, Hashable {
    package let streams: [StreamKey]
    /// The group, and the name of the consumer in it; `nil` for a fan-out reader.
    package var group: String?
    package var name: String?
}

/// The instruments of a client or of one consumer, by the hooks that they listen to.
struct Instruments: Sendable {
    private let all: [any Instrument]
    let commands: [any CommandInstrument]
    let connections: [any ConnectionInstrument]
    let pools: [any PoolInstrument]
    let topologies: [any TopologyInstrument]
    let deliveries: [any DeliveryInstrument]
    let settlements: [any SettlementInstrument]

    init(_ instruments: [any Instrument] = []) {
        all = instruments
        commands = instruments.compactMap { $0 as? any CommandInstrument }
        connections = instruments.compactMap { $0 as? any ConnectionInstrument }
        pools = instruments.compactMap { $0 as? any PoolInstrument }
        topologies = instruments.compactMap { $0 as? any TopologyInstrument }
        deliveries = instruments.compactMap { $0 as? any DeliveryInstrument }
        settlements = instruments.compactMap { $0 as? any SettlementInstrument }
    }

    /// The instruments for one consumer.
    func of(_ consumer: ConsumerIdentity) -> Instruments {
        Instruments(all.map { $0.instrument(for: consumer) })
    }
}
