/// Listens to what a client does: logs, counts, measures.
///
/// An instrument conforms to the protocols of the hooks that it wants to hear: ``CommandInstrument``,
/// ``ConnectionInstrument``, ``PoolInstrument``, ``DeliveryInstrument``, ``SettlementInstrument``. Each hook is named for what
/// has happened and has a default that does nothing. A client asks once which protocols an instrument conforms to, so that
/// hooks without a listener cost nothing on the path of a command or a message.
///
/// Hooks are called where things happen, mostly on an event loop: they must return soon, and may not block.
package protocol Instrument: Sendable {}

/// The instruments of a client, by the hooks that they listen to.
struct Instruments: Sendable {
    let commands: [any CommandInstrument]
    let connections: [any ConnectionInstrument]
    let pools: [any PoolInstrument]
    let deliveries: [any DeliveryInstrument]
    let settlements: [any SettlementInstrument]

    init(_ instruments: [any Instrument] = []) {
        commands = instruments.compactMap { $0 as? any CommandInstrument }
        connections = instruments.compactMap { $0 as? any ConnectionInstrument }
        pools = instruments.compactMap { $0 as? any PoolInstrument }
        deliveries = instruments.compactMap { $0 as? any DeliveryInstrument }
        settlements = instruments.compactMap { $0 as? any SettlementInstrument }
    }
}
