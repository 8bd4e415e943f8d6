/// Which messages the script `reclaim` reclaims, and whether it counts a delivery.
enum ReclaimMode: String, Sendable {
    /// It reclaims and counts messages without deliveries that had no outcome; it does not change the others.
    case fair
    /// It reclaims and counts all, as quarantined messages that run together with others.
    case company
    /// It reclaims and counts all, as quarantined messages that run without another one beside them.
    case exclusive
    /// It reclaims all, and counts only messages whose delivery is not counted yet: the server gave the messages to
    /// this consumer, which did not receive them.
    case known
}
