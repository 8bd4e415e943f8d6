/// Which messages the script `reclaim` reclaims, and whether it counts a delivery.
enum ReclaimMode: String, Sendable {
    /// It reclaims and counts messages on which no process may have crashed, and does not change the others.
    case uncrashed
    /// It reclaims and counts all, as quarantined messages that run together with others.
    case together
    /// It reclaims and counts all, as quarantined messages that run without another one beside them.
    case alone
    /// It reclaims all, and counts only messages whose delivery is not counted yet: the server gave the messages to
    /// this consumer, which did not receive them.
    case counted
}
