internal import Synchronization

/// Which server a connection leads to, as far as its client can tell.
///
/// A server numbers its connections by itself (`CLIENT ID`), so that ids of different servers say nothing about each other.
/// Two connections with the same identity have ids of the same server.
struct ServerIdentity: Hashable, Sendable {
    private static let last = Atomic(0)

    private let number: Int

    /// An identity that no other server of this process has.
    static func unique() -> ServerIdentity {
        ServerIdentity(number: last.add(1, ordering: .relaxed).newValue)
    }
}
