/// Remembers where to create a group again if it is lost, and finds entries that were trimmed before the group had read
/// them. Free of I/O.
struct GroupMonitor {
    /// Up to here the group had acknowledged everything at the last snapshot; `nil` if there was none.
    private(set) var watermark: StreamID?
    /// The last gap that was reported, so that it is not reported twice.
    private var gap: (after: StreamID, count: Int)?

    /// Entries that were trimmed before the group had read them.
    struct Trimmed: Equatable {
        var count: Int
        var after: StreamID
        var before: StreamID
    }

    /// The group was created at this position.
    mutating func created(after position: StreamID) {
        watermark = position
        gap = nil
    }

    /// Compares a snapshot with the last one. Messages that were delivered and are not pending were acknowledged.
    /// Returns the entries that were trimmed unread since the last snapshot.
    mutating func observe(_ snapshot: GroupSnapshot) -> Trimmed? {
        let delivered = snapshot.lastDelivered
        watermark = min(delivered, snapshot.lowestPending.map { $0.previous ?? .zero } ?? delivered)
        // Redis 6.2 does not count entries, and no server does after some deletions.
        guard let added = snapshot.entriesAdded, let read = snapshot.entriesRead else { return nil }
        let before = snapshot.first ?? snapshot.lastGenerated.next ?? snapshot.lastGenerated
        guard before > delivered else { return nil }
        let count = added - read - snapshot.length
        let reported = gap?.after == delivered ? gap?.count ?? 0 : 0
        guard count > reported else { return nil }
        gap = (delivered, count)
        return Trimmed(count: count - reported, after: delivered, before: before)
    }
}

/// A group and its stream at one moment, as the script `snapshot` returns them.
struct GroupSnapshot {
    var lastDelivered: StreamID
    /// The first message that is pending for any consumer.
    var lowestPending: StreamID?
    /// How many entries the group has read, and how many were ever added; `nil` if the server does not know.
    var entriesRead: Int?
    var entriesAdded: Int?
    var length: Int
    /// The first entry.
    var first: StreamID?
    /// The last id that the stream has generated.
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

    /// `nil` for a number that the server does not know.
    private static func count(_ value: Int) -> Int? { value < 0 ? nil : value.plausible }
}
