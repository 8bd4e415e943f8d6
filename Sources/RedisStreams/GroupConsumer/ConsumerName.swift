internal import Synchronization

/// Generates names for consumers that the user gave no name.
///
/// All of them begin with the same prefix. It shows every consumer of the group that no consumer uses the name again,
/// so that it may remove the name when no message is pending for it.
enum ConsumerName {
    /// The beginning of generated names.
    static let prefix = "generated:"

    /// The name that owns the messages which consumers returned at their end. No consumer reads under it. Its idle time
    /// also shows when the last consumer deregistered, for ``GroupTrim/abandonedAfter``.
    static let returned = prefix + "returned"

    private static let count = Atomic(0)

    static func next() -> String {
        let number = count.add(1, ordering: .relaxed).newValue
        // Containers can share a host name, and each of them has a process 1.
        let random = String(UInt32.random(in: 0...UInt32.max), radix: 16)
        return "\(prefix)\(Host.name)-\(Host.processID)-\(number)-\(random)"
    }
}
