internal import RedisStreams

/// The options for trimming of `XADD` and `XTRIM`.
struct Trimming {
    enum Threshold {
        case length(Int)
        case id(StreamID)
    }

    /// What happens to pending messages when their entry is removed.
    enum Policy {
        /// `KEEPREF`: they stay pending.
        case keep
        /// `DELREF`: they are no longer pending.
        case delete
        /// `ACKED`: only entries that no group needs are removed.
        case acknowledged

        init?(_ word: Bytes) {
            if word.isWord("KEEPREF") {
                self = .keep
            } else if word.isWord("DELREF") {
                self = .delete
            } else if word.isWord("ACKED") {
                self = .acknowledged
            } else {
                return nil
            }
        }
    }

    var threshold: Threshold
    var isApproximate = false
    /// The most entries to remove; 0 for no limit.
    var limit = 0
    var policy = Policy.keep

    /// Whether a stream of this length needs no trimming.
    func isDone(count: Int) -> Bool {
        if case .length(let length) = threshold { count <= length } else { false }
    }

    /// Whether the threshold keeps the entry because of its id.
    func keeps(_ id: StreamID) -> Bool {
        if case .id(let lowest) = threshold { id >= lowest } else { false }
    }

    /// Whether trimming removes the whole node from a stream of `count` entries. A removed last entry can keep the
    /// node.
    func takes(_ node: StreamNode, of count: Int) -> Bool {
        switch threshold {
        case .length(let length): count - node.entries.count >= length
        case .id(let lowest): node.lastID < lowest
        }
    }

    /// Returns how many of these entries trimming removes from a stream of `count` entries.
    func excess(_ entries: [StreamEntry], of count: Int) -> Int {
        switch threshold {
        case .length(let length): min(entries.count, max(0, count - length))
        case .id(let lowest): entries.firstIndex { $0.id >= lowest } ?? entries.count
        }
    }
}
