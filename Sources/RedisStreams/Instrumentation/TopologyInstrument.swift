/// Hooks for how a client finds its servers.
package protocol TopologyInstrument: Instrument {
    /// The sentinels name a master that is not the one before. Every connection to that one has been closed.
    ///
    /// - Parameters:
    ///   - epoch: The epoch of the failover that made it master.
    ///   - old: The master before; `nil` for the first one.
    func masterNamed(_ address: String, epoch: Int, insteadOf old: String?)

    /// The master that the sentinels name says by `ROLE` that it is one, and serves.
    func masterVerified(_ address: String, epoch: Int)

    /// A sentinel names a master of an earlier failover, and is not believed. Called once, until it says something else.
    func sentinelRefused(_ sentinel: String, master: String, epoch: Int)

    /// No sentinel answers any more. The client stays with the present master.
    func sentinelsLost(_ reason: RedisError.Code)

    /// A sentinel answers again.
    func sentinelsFound()
}

extension TopologyInstrument {
    package func masterNamed(_ address: String, epoch: Int, insteadOf old: String?) {}
    package func masterVerified(_ address: String, epoch: Int) {}
    package func sentinelRefused(_ sentinel: String, master: String, epoch: Int) {}
    package func sentinelsLost(_ reason: RedisError.Code) {}
    package func sentinelsFound() {}
}
