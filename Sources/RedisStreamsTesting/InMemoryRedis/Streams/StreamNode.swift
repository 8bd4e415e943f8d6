internal import RedisStreams

/// An entry of a stream.
struct StreamEntry {
    let id: StreamID
    /// Id and fields, as every reply has them.
    let encoded: Bytes
}

/// What Redis keeps together: up to 100 entries, or 4 KiB, unless it is told otherwise. Approximate trimming removes whole
/// nodes.
struct StreamNode {
    /// The id of the entry that the node was made for, whether that is still there or not.
    let firstID: StreamID
    /// Those that were not deleted, in order.
    private(set) var entries: [StreamEntry] = []
    /// The last entry that was added, be it still there or not.
    private(set) var lastID: StreamID
    private var deletedCount = 0
    private var size = ListpackSize.empty
    private let fieldNames: [Bytes]

    /// `stream-node-max-entries` and `stream-node-max-bytes`: 0 for any number.
    struct Limits {
        var entries = 100
        var bytes = 4096
    }

    init(_ id: StreamID, _ fields: ArraySlice<Bytes>) {
        firstID = id
        lastID = id
        fieldNames = Self.names(fields)
        size += ListpackSize.element(1) + ListpackSize.element(0) + ListpackSize.element(fieldNames.count)
        for name in fieldNames { size += ListpackSize.element(name) }
        size += ListpackSize.element(0)
    }

    private static func names(_ fields: ArraySlice<Bytes>) -> [Bytes] {
        stride(from: fields.startIndex, to: fields.endIndex, by: 2).map { fields[$0] }
    }

    /// Whether another entry goes to a node of its own.
    func isFull(for byteCount: Int, _ limits: Limits) -> Bool {
        // What a listpack can be at most.
        let most = limits.bytes == 0 ? 1 << 30 : min(limits.bytes, 1 << 30)
        return size + byteCount >= most || limits.entries > 0 && entries.count + deletedCount >= limits.entries
    }

    mutating func append(_ entry: StreamEntry, _ fields: ArraySlice<Bytes>) {
        let isUsual = Self.names(fields) == fieldNames
        let count = fields.count / 2
        size += ListpackSize.element(isUsual ? 2 : 0)
        size += ListpackSize.element(Int(truncatingIfNeeded: entry.id.milliseconds &- firstID.milliseconds))
        size += ListpackSize.element(Int(truncatingIfNeeded: entry.id.sequence &- firstID.sequence))
        if !isUsual { size += ListpackSize.element(count) }
        for (offset, field) in fields.enumerated() where !isUsual || offset % 2 == 1 {
            size += ListpackSize.element(field)
        }
        size += ListpackSize.element(isUsual ? count + 3 : 2 * count + 4)
        entries.append(entry)
        lastID = entry.id
    }

    /// The position of the first entry that is not below `id`.
    func lowerBound(_ id: StreamID) -> Int {
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].id < id { low = middle + 1 } else { high = middle }
        }
        return low
    }

    mutating func remove(at position: Int) {
        entries.remove(at: position)
        deletedCount += 1
    }

    mutating func removeFirst(_ count: Int) {
        entries.removeFirst(count)
        deletedCount += count
    }
}
