/// What a trim removed, and which groups need the remaining entries.
public struct TrimReport: Sendable, Hashable {
    /// The state of a group when the stream was trimmed.
    public struct Group: Sendable, Hashable {
        /// The group.
        public var name: String
        /// The lowest id that the group needs: the id of its first pending message, or of the next message to read.
        public var neededID: StreamID
        /// How many messages are pending.
        public var pendingCount: Int
        /// How many entries the group has yet to read; `nil` if the server is older than Redis 7.0, or does not know.
        public var lag: Int?
        /// Whether trimming ignored the group, since none of its consumers was active (``GroupTrim/abandonedAfter``).
        public var isAbandoned: Bool
        /// Whether the group needed one of the ``TrimReport/forcedCount`` entries.
        public var hasLost: Bool
    }

    /// How many entries the trim removed that no group needed.
    public var removedCount: Int
    /// How many entries the trim removed although they were needed, because the stream was too long.
    public var forcedCount: Int
    /// How many entries remain.
    public var length: Int
    /// The id of the first remaining entry; zero if there is none.
    public var firstID: StreamID
    /// The groups of the stream.
    public var groups: [Group]

    /// The group that needs the oldest entry, and so prevents further trimming.
    public var holdingBack: Group? {
        groups.filter { !$0.isAbandoned }.min { $0.neededID < $1.neededID }
    }

    /// `nil` if the reply has another shape.
    init?(_ reply: RedisReply) {
        guard let values = reply.array, values.count == 5,
            let removedCount = values[offset: 0]?.integer, let forcedCount = values[offset: 1]?.integer,
            let length = values[offset: 2]?.integer, let firstID = values[offset: 3]?.streamID,
            let groups = values[offset: 4]?.mapElements(Group.init)
        else { return nil }
        self.removedCount = removedCount.plausible
        self.forcedCount = forcedCount.plausible
        self.length = length.plausible
        self.firstID = firstID
        self.groups = groups
    }
}

extension TrimReport.Group {
    fileprivate init?(_ reply: RedisReply) {
        guard let values = reply.array, values.count == 6, let name = values[offset: 0]?.string,
            let neededID = values[offset: 1]?.streamID, let pendingCount = values[offset: 2]?.integer,
            let lag = values[offset: 3]?.integer, let isAbandoned = values[offset: 4]?.integer,
            let hasLost = values[offset: 5]?.integer
        else { return nil }
        self.name = name
        self.neededID = neededID
        self.pendingCount = pendingCount.plausible
        self.lag = lag < 0 ? nil : lag.plausible
        self.isAbandoned = isAbandoned == 1
        self.hasLost = hasLost == 1
    }
}
