/// The streams that a stream consumer reads, each with its position and its history. Lookup by key takes constant time.
struct ReadStreams {
    /// The ids after which the next read asks for entries.
    private(set) var positions: [StreamOffset] = []
    /// The history of each stream, at the same index as its position.
    private(set) var histories: [StreamHistory] = []
    private var indices: [StreamKey: Int] = [:]

    var count: Int { positions.count }

    func index(of stream: StreamKey) -> Int? {
        // Nearly every consumer has one stream, and needs no hash.
        if positions.count == 1 { return positions[0].stream == stream ? 0 : nil }
        return indices[stream]
    }

    mutating func append(_ offset: StreamOffset, _ history: StreamHistory) {
        indices[offset.stream] = positions.count
        positions.append(offset)
        histories.append(history)
    }

    mutating func move(_ index: Int, to id: StreamID) { positions[index].id = id }

    mutating func withHistory<Result>(_ index: Int, _ body: (inout StreamHistory) -> Result) -> Result {
        body(&histories[index])
    }

    mutating func remove(_ streams: Set<StreamKey>) {
        if streams.isEmpty { return }
        let kept = positions.indices.filter { !streams.contains(positions[$0].stream) }
        positions = kept.map { positions[$0] }
        histories = kept.map { histories[$0] }
        indices = [:]
        for (index, offset) in positions.enumerated() { indices[offset.stream] = index }
    }
}
