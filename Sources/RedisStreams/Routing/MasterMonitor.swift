/// Whether a server is still the master that it was, for a reader: reads of a replica succeed, so that no error says so.
struct MasterMonitor {
    private var wasMaster = false
    /// How often in a row the server was no master any more.
    private var demotions = 0
    /// Whether the server may be asked.
    var mayAsk = true

    /// The server has said what it is. Returns whether to report to the node that its server is not the master. A server that
    /// stays a replica is reported less and less often.
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
