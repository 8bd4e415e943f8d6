/// Monitors whether the server is still the master that it was. A consumer that only reads gets no error after a
/// failover, so it asks with `ROLE`.
struct MasterMonitor {
    private var wasMaster = false
    /// How many times in a row the server was a replica.
    private var demotions = 0
    /// Whether the server accepts `ROLE`.
    var mayAsk = true

    /// The server has answered with its role. Returns whether to report to the node that its server is not the master, since the
    /// address may lead to another server by now. For a server that stays a replica, this returns `true` less and less
    /// often.
    mutating func observe(_ role: ServerRole) -> Bool {
        switch role {
        case .master:
            wasMaster = true
            demotions = 0
            return false
        case .replica:
            guard wasMaster else { return false }
            demotions += 1
            return demotions & (demotions - 1) == 0 || demotions % 64 == 0
        default: return false
        }
    }
}
