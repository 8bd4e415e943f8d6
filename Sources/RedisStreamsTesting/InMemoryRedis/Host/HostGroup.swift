internal import Synchronization

/// The states of hosts that share a lock, so that a key can move from one server to another while nobody sees it in both
/// or in none.
final class HostGroup: Sendable {
    struct Members {
        /// One state for each host, by its index.
        var states: [RedisHost.State]
        /// The cluster that the hosts are; `nil` for a server alone.
        var cluster: ClusterModel?
    }

    let members: Mutex<Members>

    init(_ members: sending Members) {
        self.members = Mutex(members)
    }
}
