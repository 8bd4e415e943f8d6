/// Something that happened to a consumer, for logs, metrics and alarms. The consumer works the same if nobody reads events.
///
/// Later versions may add events: handle those that you know, and have a `default`.
public enum ConsumerEvent: Sendable {
    /// The consumer has created the group behind this position, and the stream if that was missing too. If `wasLost`, the
    /// group was there before, and what it had pending is lost.
    case groupCreated(after: StreamID, wasLost: Bool)
    /// The consumer claimed messages whose owner had not renewed its lease.
    case claimed(count: Int)
    /// This consumer's leases of messages have expired: another consumer may handle them. The consumer has cancelled the
    /// tasks of their handlers, and ignores what becomes of the messages here.
    case leaseLost(ids: [StreamID])
    /// A handler failed, and the message is handled again after a delay. `failures` counts how often it has failed.
    case retrying(id: StreamID, failures: Int, after: Duration)
    /// A message became a dead letter entry with the id `entry`; `nil` if the consumer did not learn it, since the reply was
    /// lost.
    case deadLettered(id: StreamID, entry: StreamID?, reason: String)
    /// A handler rejected a message, and the consumer acknowledged it, since there is no dead letter stream.
    case rejected(id: StreamID, reason: String)
    /// Entries were deleted or trimmed while they were pending: nobody will handle them any more.
    case deleted(ids: [StreamID])
    /// Entries between `after` and `before` were trimmed or deleted before the group or the reader had read them: nobody will
    /// handle them. `count` is `nil` if the server cannot say how many.
    case trimmedUnread(count: Int?, after: StreamID, before: StreamID)
    /// The stream does not go on where the consumer has read it: it was recreated, or a server has lost entries.
    case discontinuity(Discontinuity)
    /// The connection or the server failed; the consumer goes on after `retryAfter`.
    case interrupted(RedisError, retryAfter: Duration)
    /// The consumer serves again after an interruption.
    case reconnected
    /// The consumer could not read an entry: its reply exceeds what the connection accepts (``RESPLimits``), or what the server
    /// sends at a time. A group consumer dead-letters it without its body, or counts a failed attempt; a fan-out reader goes
    /// on behind it.
    case unreadable(id: StreamID, stream: StreamKey, reason: String)
    /// A fan-out reader knows where it reads from, in all of its streams: it delivers whatever is added from now on.
    case ready
    /// The consumer removed other consumers from the group, which are gone and for which nothing was pending.
    case consumersRemoved(names: [String])
    /// Another consumer has claimed messages whose leases this one had renewed in time: its
    /// ``GroupConsumer/Configuration/claimIdleTime`` is shorter, or the server's clock has stepped. Both may handle them at the
    /// same time.
    case claimedEarly(ids: [StreamID], by: String)
    /// The consumer ended before it could send these settlements, since it could not reach the server in time: of messages that
    /// were handled, that had failed, or that it was to return. They are handled again.
    case unsettled(ids: [StreamID])
    /// The user of the connections has no right to these commands. The consumer works without them, less well.
    case rightsMissing(commands: [String])
    /// A handler has been at work for this time, and still is; see ``GroupConsumer/Configuration/handlerWarning``. The consumer
    /// goes on renewing the lease of its message, so that no other consumer notices that the handler hangs.
    case handlerRunsLong(id: StreamID, for: Duration)
}

/// A stream that does not go on where the consumer has read it.
public struct Discontinuity: Sendable, Hashable {
    /// What has happened to the stream.
    public enum Kind: Sendable, Hashable {
        /// The stream ends before the position, or counts fewer entries than were read of it: it was deleted and
        /// recreated, or a server has lost entries.
        case regressed
        /// The key does not exist any more.
        case missing
        /// The entry at the position is gone, while the stream has not been trimmed up to there. After a failover, producers
        /// may have added entries with ids below the position, which the consumer has never read.
        case diverged
        /// The key holds something else than a stream now. A reader of several streams goes on with the others.
        case replaced
    }

    /// What has happened.
    public var kind: Kind
    /// The stream.
    public var stream: StreamKey
    /// The entry behind which the consumer was reading.
    public var position: StreamID
    /// The last id that the stream has given out now.
    public var lastID: StreamID

    /// A discontinuity.
    public init(_ kind: Kind, stream: StreamKey, position: StreamID, lastID: StreamID) {
        self.kind = kind
        self.stream = stream
        self.position = position
        self.lastID = lastID
    }
}
