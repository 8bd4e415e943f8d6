internal import DequeModule
internal import RedisStreams

/// A stream, with its entries and its groups.
final class StreamValue {
    private(set) var nodes: Deque<StreamNode> = []
    private(set) var count = 0
    var lastID = StreamID.zero
    /// The id of the first entry; `0-0` if there is none.
    private(set) var firstID = StreamID.zero
    /// The highest id that a command deleted, not counting trimmed ones; `0-0` if there is none.
    var maxDeletedID = StreamID.zero
    /// How many entries were ever added.
    var entriesAdded = 0
    /// The groups, in the order of their names.
    private(set) var groups: [MessageGroup] = []
    /// The lowest last id among the groups, as Redis 8.2 caches it: a destroyed group still counts, so that `ACKED`
    /// keeps entries that no group needs. `nil` if it has to be computed.
    private var lowestLastID: StreamID?

    var isEmpty: Bool { count == 0 }

    /// Returns a stream with the same entries and groups, which changes on its own.
    func copy() -> StreamValue {
        let copy = StreamValue()
        copy.nodes = nodes
        copy.count = count
        copy.lastID = lastID
        copy.firstID = firstID
        copy.maxDeletedID = maxDeletedID
        copy.entriesAdded = entriesAdded
        copy.groups = groups.map { $0.copy() }
        copy.lowestLastID = lowestLastID
        return copy
    }

    // MARK: Adding

    /// Returns the id of an entry that is added with `*`.
    func nextID(now: Int) -> StreamID? {
        let milliseconds = UInt64(max(0, now))
        return milliseconds > lastID.milliseconds ? StreamID(milliseconds: milliseconds) : lastID.next
    }

    /// Adds an entry. Its id has to be above all ids before.
    func append(_ id: StreamID, _ fields: ArraySlice<Bytes>, _ limits: StreamNode.Limits) {
        let byteCount = fields.reduce(0) { $0 + $1.count }
        if nodes.last.map({ $0.isFull(for: byteCount, limits) }) ?? true { nodes.append(StreamNode(id, fields)) }
        let entry = StreamEntry(id: id, encoded: Self.encoded(id, fields))
        nodes[nodes.count - 1].append(entry, fields)
        count += 1
        entriesAdded &+= 1
        lastID = id
        if count == 1 { firstID = id }
    }

    private static func encoded(_ id: StreamID, _ fields: ArraySlice<Bytes>) -> Bytes {
        var writer = ReplyWriter()
        writer.array(2)
        writer.bulk(id)
        writer.array(fields.count)
        for field in fields { writer.bulk(field) }
        return writer.bytes
    }

    // MARK: Looking up

    /// Returns the positions of the node and of the entry in it for the first entry not below `id`. The latter is the
    /// end of the node if that entry is the first one of the next node.
    private func position(_ id: StreamID) -> (node: Int, entry: Int) {
        var (low, high) = (0, nodes.count)
        while low < high {
            let middle = (low + high) / 2
            if nodes[middle].firstID <= id { low = middle + 1 } else { high = middle }
        }
        let node = max(low - 1, 0)
        return (node, node < nodes.count ? nodes[node].lowerBound(id) : 0)
    }

    func entry(_ id: StreamID) -> StreamEntry? {
        let (node, position) = position(id)
        guard node < nodes.count, position < nodes[node].entries.count else { return nil }
        let entry = nodes[node].entries[position]
        return entry.id == id ? entry : nil
    }

    func contains(_ id: StreamID) -> Bool { entry(id) != nil }

    /// Calls `body` with the entries from `start` on, until it returns `false`.
    func forEach(from start: StreamID, through end: StreamID = .max, _ body: (StreamEntry) -> Bool) {
        var (node, entry) = position(start)
        while node < nodes.count {
            let entries = nodes[node].entries
            while entry < entries.count {
                if entries[entry].id > end || !body(entries[entry]) { return }
                entry += 1
            }
            (node, entry) = (node + 1, 0)
        }
    }

    /// Calls `body` with the entries from `end` backwards, until it returns `false`.
    func forEachReversed(from end: StreamID, through start: StreamID, _ body: (StreamEntry) -> Bool) {
        guard !nodes.isEmpty else { return }
        var (node, entry) = end.next.map(position) ?? (nodes.count - 1, nodes[nodes.count - 1].entries.count)
        while node >= 0 {
            while entry > 0 {
                entry -= 1
                let candidate = nodes[node].entries[entry]
                if candidate.id < start || !body(candidate) { return }
            }
            node -= 1
            if node >= 0 { entry = nodes[node].entries.count }
        }
    }

    /// The id of the last entry; `0-0` if there is none.
    var lastEntryID: StreamID { lastEntry?.id ?? .zero }
    var firstEntry: StreamEntry? { nodes.first { !$0.entries.isEmpty }?.entries.first }
    var lastEntry: StreamEntry? { nodes.last { !$0.entries.isEmpty }?.entries.last }

    // MARK: Removing

    /// Deletes an entry. Returns whether it existed.
    func delete(_ id: StreamID) -> Bool {
        guard remove(id) else { return false }
        maxDeletedID = max(maxDeletedID, id)
        refreshFirstID()
        return true
    }

    private func remove(_ id: StreamID) -> Bool {
        let (node, position) = position(id)
        guard node < nodes.count, position < nodes[node].entries.count, nodes[node].entries[position].id == id else {
            return false
        }
        if nodes[node].entries.count == 1 { nodes.remove(at: node) } else { nodes[node].remove(at: position) }
        count -= 1
        return true
    }

    /// Trims the stream from its beginning. Returns how many entries were removed.
    func trim(_ trimming: Trimming) -> Int {
        var removed = 0
        var node = 0
        while node < nodes.count {
            if trimming.isDone(count: count) { break }
            let entries = nodes[node].entries
            if trimming.limit > 0, removed + entries.count > trimming.limit { break }
            let isWhole = trimming.takes(nodes[node], of: count)
            if trimming.policy != .keep {
                // With these policies, Redis 8.2 removes nothing by an approximate threshold.
                if trimming.isApproximate { break }
                removed += trimReferences(trimming, node: node)
                if !isWhole { break }
                if nodes[node].entries.isEmpty { nodes.remove(at: node) } else { node += 1 }
                continue
            }
            if isWhole {
                nodes.remove(at: node)
                count -= entries.count
                removed += entries.count
                continue
            }
            if trimming.isApproximate { break }
            let excess = trimming.excess(entries, of: count)
            nodes[node].removeFirst(excess)
            count -= excess
            removed += excess
            break
        }
        if removed > 0 || isEmpty { refreshFirstID() }
        return removed
    }

    /// Removes the entries of a node one by one, as the policy for references in groups says. Returns how many.
    private func trimReferences(_ trimming: Trimming, node: Int) -> Int {
        var removed = 0
        for entry in nodes[node].entries {
            if trimming.isDone(count: count) || trimming.keeps(entry.id) { break }
            if trimming.policy == .acknowledged, isReferenced(entry.id) { continue }
            if trimming.policy == .delete { removeReferences(entry.id) }
            nodes[node].remove(at: nodes[node].lowerBound(entry.id))
            count -= 1
            removed += 1
        }
        return removed
    }

    private func refreshFirstID() {
        firstID = firstEntry?.id ?? .zero
    }

    // MARK: Groups

    func group(_ name: Bytes) -> MessageGroup? {
        groups.first { $0.name == name }
    }

    /// Adds a group. Returns `false` if there is one of this name.
    func addGroup(_ name: Bytes, lastID: StreamID, entriesRead: Int?) -> Bool {
        guard group(name) == nil else { return false }
        let position = groups.firstIndex { Bytes.precedes(name, $0.name) } ?? groups.count
        if let lowest = lowestLastID, lowest == .zero || lastID < lowest { lowestLastID = nil }
        groups.insert(MessageGroup(name: name, lastID: lastID, entriesRead: entriesRead), at: position)
        return true
    }

    func remove(_ group: MessageGroup) {
        groups.removeAll { $0 === group }
    }

    /// Sets the last id of a group.
    func move(_ group: MessageGroup, to id: StreamID) {
        if let lowest = lowestLastID, group.lastID == lowest || id < lowest { lowestLastID = nil }
        group.lastID = id
    }

    /// Whether a group has not read or not acknowledged the entry.
    func isReferenced(_ id: StreamID) -> Bool {
        guard !groups.isEmpty else { return false }
        let lowest = lowestLastID ?? groups.map(\.lastID).min() ?? .max
        lowestLastID = lowest
        return id > lowest || groups.contains { $0.pending.find(id) != nil }
    }

    /// Removes the entry from the pending lists of all groups.
    func removeReferences(_ id: StreamID) {
        for group in groups {
            if let message = group.pending.find(id) { group.remove(message) }
        }
    }
}
