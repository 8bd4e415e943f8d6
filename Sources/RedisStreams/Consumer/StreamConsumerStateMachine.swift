/// Where a stream consumer stands and what it does next. Free of sockets and clocks.
///
/// A stream whose position is not known yet is asked for its last id first. From then on positions are concrete ids,
/// which only go up.
struct StreamConsumerStateMachine: ~Copyable {
    enum Step: Equatable {
        case findLast(StreamKey)
        case read([StreamPosition])
    }

    /// A stream and the id of the last message read of it.
    struct StreamPosition: Equatable {
        let stream: StreamKey
        var last: StreamID
    }

    private var unresolved: [StreamKey]
    private var positions: [StreamPosition]
    private var hasEverServed = false
    /// How many messages to ask for at a time: less than configured once replies turned out to be too large.
    private(set) var count: Int
    private var failures = 0

    init(_ streams: [StreamKey: StreamConsumer.Start], count: Int = StreamConsumer.Configuration().batchSize) {
        self.count = count
        let ordered = streams.sorted { $0.key.rawValue < $1.key.rawValue }
        unresolved = ordered.filter { $0.value.position == nil }.map(\.key)
        positions = ordered.compactMap { key, start in
            start.position.map { StreamPosition(stream: key, last: $0) }
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
        positions.append(StreamPosition(stream: stream, last: id))
    }

    /// Messages have been read.
    mutating func read(_ batches: [MessageBatch]) {
        served()
        for batch in batches {
            guard let last = batch.last?.id else { continue }
            for index in positions.indices where positions[index].stream == batch.stream {
                positions[index].last = max(positions[index].last, last)
            }
        }
    }

    private mutating func served() {
        hasEverServed = true
        failures = 0
    }

    /// A step failed, or connecting did.
    mutating func failed(_ error: RedisError) -> FailureReaction {
        if error.code == .replyTooLarge, count > 1 {
            count /= 2
            return .retry(error, attempt: 1)
        }
        if !error.isRetriable || (!hasEverServed && error.isUnreachable) { return .stop(error) }
        failures += 1
        return .retry(error, attempt: failures)
    }
}
