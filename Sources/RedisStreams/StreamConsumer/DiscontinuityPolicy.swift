/// What a fan-out reader does when its stream does not go on where it was; see ``Discontinuity``.
///
/// Whatever is chosen, it is reported first: a position never goes back without a ``ConsumerEvent/discontinuity(_:)``.
public enum DiscontinuityPolicy: Sendable, Hashable {
    /// Reads what is there now. A stream that was made anew is read from its beginning. One that lost its latest entries
    /// with a server, so that what is left was seen before, is read again from ``StreamConsumer/Configuration/rewind``
    /// before the loss, and most of what was seen is left out.
    case follow
    /// Goes on with what is added from now on.
    case latest
    /// Keeps the position, and waits for entries behind it.
    case ignore
    /// Ends with ``RedisError/Code/discontinuity``.
    case stop
}
