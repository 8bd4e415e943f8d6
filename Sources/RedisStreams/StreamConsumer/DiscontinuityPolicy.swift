/// What a ``StreamConsumer`` does when a stream no longer continues from its position; see ``Discontinuity``.
///
/// With every policy, the consumer reports the discontinuity first: a position never goes back without a
/// ``ConsumerEvent/discontinuity(_:)``.
public enum DiscontinuityPolicy: Sendable, Hashable {
    /// Reads what is in the stream now. The consumer reads a recreated stream from its beginning. If a server has lost
    /// the latest entries of a stream, and the consumer has delivered the remaining ones before, it reads again from
    /// ``StreamConsumer/Configuration/rewind`` before the loss, and filters out most of what it has delivered.
    case follow
    /// Continues with the entries that are added from now on.
    case latest
    /// Keeps the position, and waits for entries after it.
    case ignore
    /// Ends the loop with ``RedisError/Code/discontinuity``.
    case stop
}
