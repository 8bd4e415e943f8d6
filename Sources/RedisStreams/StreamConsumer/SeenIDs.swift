internal import DequeModule

/// The ids of the most recently read messages, for a consumer whose position goes back.
///
/// It keeps the lists of ids that the batches have anyway, without the messages, so reading a message costs nothing
/// extra.
struct SeenIDs {
    private var batches: Deque<[MessageBatch.Entry]> = []
    private var count = 0

    /// About how many ids are kept.
    static let limit = 4096

    /// Adds the ids of a batch that was read.
    mutating func append(_ batch: MessageBatch) {
        let entries = batch.storage.entries
        batches.append(entries)
        count += entries.count
        while let first = batches.first, count - first.count >= Self.limit {
            count -= first.count
            batches.removeFirst()
        }
    }

    mutating func removeAll() {
        batches.removeAll()
        count = 0
    }

    /// Whether this holds an id.
    func contains(_ id: StreamID) -> Bool {
        batches.contains { $0.contains { $0.id == id } }
    }

    /// Returns the ids above `low` and up to `high`, in ascending order.
    func ids(above low: StreamID, upTo high: StreamID) -> [StreamID] {
        var ids: Set<StreamID> = []
        for batch in batches { for entry in batch where entry.id > low && entry.id <= high { ids.insert(entry.id) } }
        return ids.sorted()
    }
}
