/// What is remembered of a group, for when it is lost, and what has happened to its stream. Free of I/O.
struct GroupMonitor {
    /// Up to here, everything was done with when the group was looked at last; `nil` if it never was.
    private(set) var watermark: StreamID?
    /// The gap that was told of, so that it is not told of twice.
    private var gap: (after: StreamID, count: Int)?

    /// Entries that were trimmed before the group had read them.
    struct Trimmed: Equatable {
        var count: Int
        var after: StreamID
        var before: StreamID
    }

    /// The group was created behind this position.
    mutating func created(after position: StreamID) {
        watermark = position
        gap = nil
    }

    /// The group was looked at. What was delivered before and is not pending is done with. Returns what has been lost since
    /// the last time.
    mutating func observe(_ sight: GroupSnapshot) -> Trimmed? {
        let delivered = sight.lastDelivered
        watermark = min(delivered, sight.lowestPending.map { $0.previous ?? .zero } ?? delivered)
        // Redis 6.2 does not count, nor does any after some deletions.
        guard let added = sight.entriesAdded, let read = sight.entriesRead else { return nil }
        let before = sight.first ?? sight.lastGenerated.next ?? sight.lastGenerated
        guard before > delivered else { return nil }
        let count = added - read - sight.length
        let told = gap?.after == delivered ? gap?.count ?? 0 : 0
        guard count > told else { return nil }
        gap = (delivered, count)
        return Trimmed(count: count - told, after: delivered, before: before)
    }
}

/// A group and its stream, as the script `look` has seen them.
struct GroupSnapshot {
    var lastDelivered: StreamID
    /// The first message that is pending for anybody.
    var lowestPending: StreamID?
    /// How many entries the group has read, and how many were ever added; `nil` where the server does not know.
    var entriesRead: Int?
    var entriesAdded: Int?
    var length: Int
    /// The first entry.
    var first: StreamID?
    /// The last id that the stream has given out.
    var lastGenerated: StreamID
}

extension GroupSnapshot {
    /// Returns `nil` if there is no such group.
    init?(_ reply: RedisReply, to call: ScriptCall) throws(RedisError) {
        if reply.isNull { return nil }
        let values = Array(try call.elements(reply))
        guard values.count == 7 else { throw call.unexpected(reply) }
        lastDelivered = try call.streamID(values[0])
        lowestPending = values[1].streamID
        entriesRead = Self.count(try call.integer(values[2]))
        entriesAdded = Self.count(try call.integer(values[3]))
        length = try call.integer(values[4]).plausible
        first = values[5].streamID
        lastGenerated = try call.streamID(values[6])
    }

    /// `nil` for what the server does not count.
    private static func count(_ value: Int) -> Int? { value < 0 ? nil : value.plausible }
}
