/// Where a stream consumer stands and what it does next. Free of sockets and clocks.
///
/// A stream whose position is not known yet is asked for its last id first. From then on positions are concrete ids,
/// which only go up.
struct StreamConsumerStateMachine: ~Copyable {
    enum Step: Equatable {
        case findLast(StreamKey)
        case read([StreamOffset])
    }

    private var unresolved: [StreamKey]
    private var positions: [StreamOffset]
    private var hasEverServed = false
    private var size: BatchSize
    private var failures = 0

    init(_ streams: [StreamKey: StreamConsumer.Start], size: BatchSize = StreamConsumer.Configuration().size) {
        self.size = size
        let ordered = streams.sorted { $0.key.rawValue < $1.key.rawValue }
        unresolved = ordered.filter { $0.value.position == nil }.map(\.key)
        positions = ordered.compactMap { key, start in
            start.position.map { StreamOffset(key, after: $0) }
        }
    }

    func next() -> Step {
        if let stream = unresolved.first { return .findLast(stream) }
        return .read(positions)
    }

    /// The last id of a stream; zero if there is no stream yet.
    mutating func foundLast(_ id: StreamID, of stream: StreamKey) {
        served()
        unresolved.removeAll { $0 == stream }
        positions.append(StreamOffset(stream, after: id))
    }

    /// How many messages of each stream to ask for.
    var count: Int { size.count }

    /// Messages have been read. Returns whether there seem to be more.
    mutating func read(_ batches: [MessageBatch]) -> Bool {
        served()
        let isBacklog = batches.contains { $0.count >= size.count }
        for batch in batches {
            guard let last = batch.last?.id else { continue }
            for index in positions.indices where positions[index].stream == batch.stream {
                positions[index].id = max(positions[index].id, last)
            }
        }
        // `COUNT` is that of each stream, and the bytes are those of all.
        size.received(batches.map(\.count).max() ?? 0, bytes: batches.reduce(0) { $0 + $1.byteCount })
        return isBacklog
    }

    private mutating func served() {
        hasEverServed = true
        failures = 0
    }

    /// A step failed, or connecting did.
    mutating func failed(_ error: RedisError) -> FailureReaction {
        if error.code == .replyTooLarge, size.tooLarge() { return .retry(error, attempt: 1) }
        if !error.isRetriable || (!hasEverServed && error.isUnreachable) { return .stop(error) }
        failures += 1
        return .retry(error, attempt: failures)
    }
}
