/// What is remembered of a group, for when it is lost, and what has happened to its stream. Free of I/O.
struct GroupWatch {
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

    /// The group was looked at, and what is pending for it after that: what was delivered before and is not pending is
    /// done with. Returns what has been lost since the last time.
    mutating func observe(group: GroupInfo, stream: StreamInfo, lowestPending: StreamID?) -> Trimmed? {
        let delivered = group.lastDeliveredID
        watermark = min(delivered, lowestPending.map { $0.previous ?? .zero } ?? delivered)
        // Redis 6.2 does not count, nor does any after some deletions.
        guard let added = stream.details.entriesAdded, let read = group.entriesRead else { return nil }
        let before = stream.firstEntry?.id ?? stream.lastGeneratedID.next ?? stream.lastGeneratedID
        guard before > delivered else { return nil }
        let count = added - read - stream.length
        let told = gap?.after == delivered ? gap?.count ?? 0 : 0
        guard count > told else { return nil }
        gap = (delivered, count)
        return Trimmed(count: count - told, after: delivered, before: before)
    }
}
