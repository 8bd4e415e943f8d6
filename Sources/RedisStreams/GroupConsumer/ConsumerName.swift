internal import Synchronization

/// Names for consumers that have been given none.
///
/// All of them begin with the same prefix, by which every consumer of the group knows that nobody comes back under them:
/// it may remove such a name when nothing is pending for it.
enum ConsumerName {
    /// What generated names begin with.
    static let prefix = "generated:"

    /// The name under which messages wait that consumers have returned at their end. Nobody reads under it. It also shows
    /// when the last consumer has left, for ``GroupTrim/abandonedAfter``.
    static let returned = prefix + "returned"

    private static let count = Atomic(0)

    static func next() -> String {
        let number = count.add(1, ordering: .relaxed).newValue
        // Containers can share a host name, and then each has a process 1.
        let random = String(UInt32.random(in: 0...UInt32.max), radix: 16)
        return "\(prefix)\(Host.name)-\(Host.processID)-\(number)-\(random)"
    }
}
