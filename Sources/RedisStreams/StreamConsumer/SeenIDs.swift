internal import DequeModule

/// The ids of the messages that were read last, for a reader that has to go back.
///
/// Nothing is done for a single message: the lists of ids that batches have anyway are kept, without the messages.
struct SeenIDs {
    private var batches: Deque<[MessageBatch.Entry]> = []
    private var count = 0

    /// About how many ids are remembered.
    static let limit = 4096

    /// A batch was read.
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

    /// Whether an id is among them.
    func contains(_ id: StreamID) -> Bool {
        batches.contains { $0.contains { $0.id == id } }
    }

    /// Those above an id, up to another one, in ascending order.
    func ids(above low: StreamID, upTo high: StreamID) -> [StreamID] {
        var ids: Set<StreamID> = []
        for batch in batches { for entry in batch where entry.id > low && entry.id <= high { ids.insert(entry.id) } }
        return ids.sorted()
    }
}
