/// Hooks for the pools of a client. A caller that finds a shared connection at once, as nearly always, calls none of them.
package protocol PoolInstrument: Instrument {
    /// A caller had to wait for a connection, and got one or gave up.
    func callerWaited(_ wait: PoolWait)

    /// A connection was leased: one that was left by another caller, or a new one.
    func connectionLeased(isNew: Bool)

    /// A leased connection came back, and is kept for the next caller or closed.
    func connectionReleased(isKept: Bool)

    /// The server is not the master, so that this many connections to it end behind the replies that are still to come.
    func connectionsRetired(count: Int)
}

extension PoolInstrument {
    package func callerWaited(_ wait: PoolWait) {}
    package func connectionLeased(isNew: Bool) {}
    package func connectionReleased(isKept: Bool) {}
    package func connectionsRetired(count: Int) {}
}

/// How a caller waited for a connection.
package struct PoolWait: Sendable {
    package enum Kind: Sendable {
        case shared, leased
    }

    /// Which kind of connection the caller waited for.
    package let kind: Kind
    package let duration: Duration
    /// Why the caller got none.
    package let error: RedisError?
}
