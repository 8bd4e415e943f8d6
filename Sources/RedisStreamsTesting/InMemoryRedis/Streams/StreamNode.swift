internal import RedisStreams

/// An entry of a stream.
struct StreamEntry {
    let id: StreamID
    /// The id and the fields, encoded as in every reply.
    let encoded: Bytes
}

/// A node of a stream: the entries that Redis stores together, by default up to 100 or 4 KiB. Approximate trimming
/// removes whole nodes.
struct StreamNode {
    /// The id of the first entry added to the node, even if that was removed.
    let firstID: StreamID
    /// The entries that were not removed, in order.
    private(set) var entries: [StreamEntry] = []
    /// The id of the last entry added to the node, even if that was removed.
    private(set) var lastID: StreamID
    private var deletedCount = 0
    private var size = ListpackSize.empty
    private let fieldNames: [Bytes]

    /// The settings `stream-node-max-entries` and `stream-node-max-bytes`; 0 for no limit.
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

    /// Whether an entry of `byteCount` bytes needs a new node.
    func isFull(for byteCount: Int, _ limits: Limits) -> Bool {
        // The maximum size of a listpack.
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

    /// Returns the position of the first entry that is not below `id`.
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
