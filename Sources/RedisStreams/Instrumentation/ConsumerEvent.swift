/// Something that happened while consuming, for logs, metrics and alarms. Nothing depends on anybody looking.
///
/// There may be more of them with each version: handle those that you know, and have a `default`.
public enum ConsumerEvent: Sendable {
    /// The group was missing and has been created, behind this position; the stream too, if it was missing. After a start
    /// this is no news; later it means that the group was lost, with all that it had pending.
    case groupCreated(after: StreamID, wasLost: Bool)
    /// Messages whose owner has not renewed its lease were taken over.
    case claimed(count: Int)
    /// Messages are not this consumer's any more: others may be handling them. Their handlers' tasks were cancelled, and
    /// what becomes of them here has no effect.
    case leaseLost(ids: [StreamID])
    /// A handler failed; the message is handled again after a while. `failures` counts how often it has failed.
    case retrying(id: StreamID, failures: Int, after: Duration)
    /// A message went to the stream of dead letters, where it has the id `letter`; `nil` if that was not learnt, since the
    /// reply was lost.
    case deadLettered(id: StreamID, entry: StreamID?, reason: String)
    /// A message was refused by its handler, and acknowledged, since there is no stream for dead letters.
    case rejected(id: StreamID, reason: String)
    /// Entries were deleted or trimmed while they were pending: nobody will handle them any more.
    case deleted(ids: [StreamID])
    /// Entries were trimmed, or deleted, before the group or the reader had read them: nobody will handle them. All of them
    /// were behind `after`, and before `before`; `count` is `nil` if the server cannot tell how many.
    case trimmedUnread(count: Int?, after: StreamID, before: StreamID)
    /// The stream does not go on where it was: it was made anew, or entries were lost with a server.
    case discontinuity(Discontinuity)
    /// The connection or the server failed; the consumer goes on after `retryAfter`.
    case interrupted(RedisError, retryAfter: Duration)
    /// The consumer serves again after an interruption.
    case reconnected
    /// An entry could not be read: its reply exceeds what the connection accepts (``RESPLimits``), or what the server sends at
    /// a time. A group dead-letters it without its body, or counts that as a failed attempt; a fan-out reader goes on behind
    /// it.
    case unreadable(id: StreamID, stream: StreamKey, reason: String)
    /// A fan-out reader knows where it reads from, in all of its streams: whatever is added from now on is delivered.
    case ready
    /// Consumers of the group that are gone, and for which nothing was pending, were removed from it.
    case consumersRemoved(names: [String])
    /// Another consumer has claimed messages whose leases here were renewed in time: its ``GroupConsumer/Configuration/claimIdleTime``
    /// is shorter, or the server's clock has stepped. They may be handled by both at the same time.
    case claimedEarly(ids: [StreamID], by: String)
    /// Settlements that could not be sent before the end, because the server was not to be reached in time: messages that
    /// were handled and not acknowledged, that had failed, or that were to be returned. They are handled again.
    case unsettled(ids: [StreamID])
    /// The user of the connections has no right to these commands. The consumer works without them, less well.
    case rightsMissing(commands: [String])
    /// A handler has been at work for so long, and still is; see ``GroupConsumer/Configuration/handlerWarning``. Its message
    /// stays this consumer's meanwhile: nobody else sees that it hangs.
    case handlerRunsLong(id: StreamID, for: Duration)
}

/// A stream that does not go on where it was.
public struct Discontinuity: Sendable, Hashable {
    /// What is the matter with the stream.
    public enum Kind: Sendable, Hashable {
        /// The stream ends before the position, or counts fewer entries than were read of it: it was deleted and made anew,
        /// or a server has lost entries.
        case regressed
        /// The key is not there any more.
        case missing
        /// The entry at the position is gone, while the stream has not been trimmed up to there: after a failover, entries
        /// with ids below the position may have been added that were never seen.
        case diverged
        /// The key holds something else than a stream now. A reader of several streams goes on with the others.
        case replaced
    }

    /// What is the matter.
    public var kind: Kind
    /// The stream.
    public var stream: StreamKey
    /// Behind which entry the consumer was reading.
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
