internal import RedisStreams

/// Counts the nodes of Redis's radix tree over the nodes of a stream. `XINFO STREAM` reports the number.
enum RadixTree {
    static func nodeCount(_ ids: [StreamID]) -> Int {
        ids.isEmpty ? 1 : nodeCount(ids.map(key)[...], depth: 0)
    }

    private static func key(_ id: StreamID) -> Bytes {
        var key: Bytes = []
        for part in [id.milliseconds, id.sequence] {
            for shift in stride(from: 56, through: 0, by: -8) { key.append(UInt8(truncatingIfNeeded: part >> shift)) }
        }
        return key
    }

    /// `keys` are in order and not empty, and agree in the first `depth` bytes.
    private static func nodeCount(_ keys: ArraySlice<Bytes>, depth: Int) -> Int {
        guard let first = keys.first, let last = keys.last else { return 0 }
        if keys.count == 1 { return depth == first.count ? 1 : 2 }
        var length = depth
        while first[length] == last[length] { length += 1 }
        // One node for the common part, and one that branches.
        var count = length > depth ? 2 : 1
        var rest = keys
        while let next = rest.first {
            let end = rest.firstIndex { $0[length] != next[length] } ?? rest.endIndex
            count += nodeCount(rest[..<end], depth: length + 1)
            rest = rest[end...]
        }
        return count
    }
}
