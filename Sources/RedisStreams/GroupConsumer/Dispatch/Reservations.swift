internal import Synchronization

/// How many messages the commands in flight may bring, so that the consumer asks for no message without room in the
/// buffer. Changed on the event loop of the consumer only.
final class Reservations: Sendable {
    private let reads = Atomic(0)
    private let waitingReads = Atomic(0)
    private let reclaims = Atomic(0)

    /// Adds the messages that a read may bring; a negative number when its reply has arrived. `waits` says that the
    /// read waits on the server.
    func read(_ count: Int, waits: Bool) {
        reads.add(count, ordering: .relaxed)
        if waits { waitingReads.add(count, ordering: .relaxed) }
    }

    /// Adds messages to reclaim; a negative number when their request has ended.
    func reclaim(_ count: Int) { reclaims.add(count, ordering: .relaxed) }

    /// All messages that may arrive.
    var all: Int { reads.load(ordering: .relaxed) + reclaims.load(ordering: .relaxed) }

    /// The messages that may arrive soon: without those of a read that waits on the server until there are messages.
    var soon: Int { all - waitingReads.load(ordering: .relaxed) }
}
