/// Where a stream consumer stands and what it does next. Free of sockets and clocks.
///
/// A stream whose position is not known yet is asked for first. From then on positions are concrete ids. They go up, and
/// back only when a look at the stream has shown that it does not go on where it was.
struct StreamConsumerStateMachine: ~Copyable {
    enum Step: Equatable {
        /// Find out the position that was kept under a name.
        case restore(StreamKey, name: String)
        /// Find out the last id.
        case findLast(StreamKey)
        /// Look at the streams, which are read behind these ids.
        case look([StreamOffset])
        case read([StreamOffset])
    }

    /// How discontinuities are answered.
    struct Recovery {
        var policy: DiscontinuityPolicy = .follow
        var rewind: Duration = .seconds(10)
    }

    /// What has come of a look.
    struct Outcome {
        var events: [ConsumerEvent] = []
        /// Positions that were set anew.
        var moves: [StreamOffset] = []
        /// Why reading ends.
        var failure: RedisError?
    }

    private var unresolved: [(stream: StreamKey, start: StreamConsumer.Start)]
    private var positions: [StreamOffset]
    /// What is known of the streams, in the order of the positions.
    private var histories: [StreamHistory]
    private let recovery: Recovery
    private var hasEverServed = false
    private var size: BatchSize
    private var failures = 0

    private var isLookDue = false
    private var hasLooked = false
    private var mayLook = true
    /// One of the keys holds no stream.
    private var hasIntruder = false

    init(
        _ streams: [StreamKey: StreamConsumer.Start],
        size: BatchSize = StreamConsumer.Configuration().size,
        recovery: Recovery = Recovery()
    ) {
        self.size = size
        self.recovery = recovery
        unresolved = []
        positions = []
        histories = []
        for (stream, start) in streams.sorted(by: { $0.key.rawValue < $1.key.rawValue }) { begin(stream, start) }
    }

    private mutating func begin(_ stream: StreamKey, _ start: StreamConsumer.Start) {
        guard let position = start.position else { return unresolved.append((stream, start)) }
        var isReached = true
        if case .time = start { isReached = false }
        positions.append(StreamOffset(stream, after: position))
        histories.append(StreamHistory(isReached: isReached))
    }

    func next() -> Step {
        if let (stream, start) = unresolved.first {
            if case .resume(let name, _) = start { return .restore(stream, name: name) }
            return .findLast(stream)
        }
        if isLookDue, mayLook {
            // Behind the beginning nothing can be missing.
            let offsets = hasIntruder ? positions : positions.filter { $0.id > .zero }
            if !offsets.isEmpty { return .look(offsets) }
        }
        return .read(positions)
    }

    /// Behind which id a stream is read; `nil` while that is not known.
    func position(of stream: StreamKey) -> StreamID? { positions.first { $0.stream == stream }?.id }

    /// The last id of a stream; zero if there is no stream yet.
    mutating func foundLast(_ id: StreamID, of stream: StreamKey) {
        served()
        resolve(stream, at: id, StreamHistory(isKnown: id > .zero, isEntry: id > .zero))
    }

    /// The position that was kept for a stream; `nil` if there is none, so that it begins elsewhere.
    mutating func restored(_ id: StreamID?, of stream: StreamKey) {
        served()
        if let id {
            // Much may have happened since.
            isLookDue = true
            return resolve(stream, at: id, StreamHistory(isKnown: id > .zero, isEntry: id > .zero))
        }
        guard let index = unresolved.firstIndex(where: { $0.stream == stream }) else { return }
        if case .resume(_, let start) = unresolved.remove(at: index).start { begin(stream, start) }
    }

    private mutating func resolve(_ stream: StreamKey, at id: StreamID, _ history: StreamHistory) {
        unresolved.removeAll { $0.stream == stream }
        positions.append(StreamOffset(stream, after: id))
        histories.append(history)
    }

    /// A time has passed in which a stream should have been looked at.
    mutating func tick() {
        if !hasLooked { isLookDue = true }
        hasLooked = false
    }

    // MARK: Reading

    /// How many messages of each stream to ask for.
    var count: Int { size.count }

    /// Messages have been read. Returns whether there seem to be more.
    mutating func read(_ batches: [MessageBatch]) -> Bool {
        served()
        hasIntruder = false
        if batches.isEmpty { isLookDue = true }
        let isBacklog = batches.contains { $0.count >= size.count }
        for batch in batches {
            guard let last = batch.last?.id else { continue }
            for index in positions.indices where positions[index].stream == batch.stream {
                positions[index].id = max(positions[index].id, last)
                histories[index].read(batch)
            }
        }
        // `COUNT` is that of each stream, and the bytes are those of all.
        size.received(batches.map(\.count).max() ?? 0, bytes: batches.reduce(0) { $0 + $1.byteCount })
        return isBacklog
    }

    /// What has been read, without what was seen before a position went back.
    mutating func leavingOutSeen(_ batches: [MessageBatch]) -> [MessageBatch] {
        guard histories.contains(where: \.isLeavingOut) else { return batches }
        return batches.map { batch in
            guard let index = positions.firstIndex(where: { $0.stream == batch.stream }) else { return batch }
            return histories[index].leavingOutSeen(batch)
        }
    }

    private mutating func served() {
        hasEverServed = true
        failures = 0
    }

    /// A step failed, or connecting did.
    ///
    /// - Parameter waits: Whether a server that was never reached is waited for.
    mutating func failed(_ error: RedisError, waits: Bool = false) -> FailureReaction {
        if error.code == .replyTooLarge, size.tooLarge() { return .retry(error, attempt: 1) }
        if error.code == .wrongType, mayLook, !hasIntruder, positions.count > 1 {
            // It is the end of one stream. Which one is not said.
            hasIntruder = true
            isLookDue = true
            return .proceed
        }
        if !error.isRetriable || (!hasEverServed && !waits && error.isUnreachable) { return .stop(error) }
        failures += 1
        isLookDue = true
        return .retry(error, attempt: failures)
    }

    // MARK: Looking

    /// The entries of which it has to be known whether they are there.
    func suspects(among looks: [StreamKey: StreamLook]) -> [StreamOffset] {
        positions.indices.flatMap { index -> [StreamOffset] in
            let (key, id) = (positions[index].stream, positions[index].id)
            guard case .there(let stream) = looks[key] else { return [] }
            return histories[index].landmarks(at: id).filter(stream.couldLack).map { StreamOffset(key, after: $0) }
        }
    }

    /// The streams have been looked at, while nothing was on its way.
    mutating func looked(_ looks: [StreamKey: StreamLook]) -> Outcome {
        served()
        isLookDue = false
        hasLooked = true
        var outcome = Outcome()
        for index in positions.indices.reversed() {
            guard let look = looks[positions[index].stream] else { continue }
            switch look {
            case .replaced: drop(index, &outcome)
            case .missing: judge(nil, index, &outcome)
            case .there(let stream): judge(stream, index, &outcome)
            }
        }
        // If nothing was found and the next read meets it again, there is nothing to be done about it.
        if hasIntruder, !looks.values.contains(where: { if case .replaced = $0 { true } else { false } }) {
            return outcome
        }
        hasIntruder = false
        return outcome
    }

    /// The server does not let this reader look.
    mutating func cannotLook() {
        mayLook = false
        isLookDue = false
    }

    /// A key holds no stream, before it was ever read. Returns whether there are others to be read.
    mutating func refused(_ stream: StreamKey) -> Bool {
        unresolved.removeAll { $0.stream == stream }
        return !positions.isEmpty || !unresolved.isEmpty
    }

    private mutating func drop(_ index: Int, _ outcome: inout Outcome) {
        let (stream, position) = (positions[index].stream, positions[index].id)
        guard positions.count > 1 || !unresolved.isEmpty else {
            outcome.failure = RedisError(serverText: "WRONGTYPE The key holds no stream", command: XREAD.name)
            return
        }
        positions.remove(at: index)
        histories.remove(at: index)
        outcome.events.append(
            .discontinuity(Discontinuity(.replaced, stream: stream, position: position, lastID: .zero))
        )
    }

    private mutating func judge(_ stream: StreamObservation?, _ index: Int, _ outcome: inout Outcome) {
        let offset = positions[index]
        switch histories[index].compare(stream, at: offset.id) {
        case .sound: break
        case .lost(let count, let after, let before):
            outcome.events.append(.trimmedUnread(count: count, after: after, before: before))
        case .broken(let kind):
            let lastID = stream?.lastID ?? .zero
            let found = Discontinuity(kind, stream: offset.stream, position: offset.id, lastID: lastID)
            outcome.events.append(.discontinuity(found))
            answer(found, index, &outcome)
        }
    }

    private mutating func answer(_ found: Discontinuity, _ index: Int, _ outcome: inout Outcome) {
        switch recovery.policy {
        case .ignore: return histories[index].stay(despite: found.kind)
        case .stop: outcome.failure = .discontinuity(found)
        case .latest:
            positions[index].id = found.lastID
            histories[index].startAnew(isKnown: found.kind != .missing)
        case .follow: follow(found, index)
        }
        outcome.moves.append(positions[index])
    }

    /// For how long before a loss the same ids need not be the same entries: that of a split.
    private static let doubtfulTime = Duration.seconds(1)

    private mutating func follow(_ found: Discontinuity, _ index: Int) {
        // Ids that a clock has made do not come twice: a stream that ends with one that was seen is the same stream, with
        // less in it.
        let isSame = found.lastID.isMadeByClock && histories[index].seen.contains(found.lastID)
        guard found.kind == .diverged || (found.kind == .regressed && isSame) else {
            positions[index].id = .zero
            return histories[index].startAnew(isKnown: found.kind != .missing)
        }
        let lostID = histories[index].lostID ?? found.position
        let known = min(lostID, found.position, found.lastID)
        let target = known.rewound(by: recovery.rewind)
        histories[index].rewind(to: target, leavingOutUpTo: known.rewound(by: Self.doubtfulTime))
        positions[index].id = target
    }
}

extension StreamID {
    /// Whether the server's clock may have made the id: from the year 2001 on.
    fileprivate var isMadeByClock: Bool { milliseconds >= 1_000_000_000_000 }

    /// The last id before the time that is `duration` before this one.
    fileprivate func rewound(by duration: Duration) -> StreamID {
        let span = UInt64(Swift.max(0, duration.wholeMilliseconds))
        guard milliseconds > span else { return .zero }
        return StreamID(milliseconds: milliseconds - span).previous ?? .zero
    }
}

extension RedisError {
    /// The error for a reader that is to stop when its stream does not go on where it was.
    static func discontinuity(_ found: Discontinuity) -> RedisError {
        let what =
            switch found.kind {
            case .missing: "is not there any more"
            case .regressed:
                "ends before the position \(found.position), with \(found.lastID): it was made anew, or lost"
            case .diverged: "has no entry at the position \(found.position) any more: a server has lost entries"
            case .replaced: "has been replaced by something else"
            }
        return RedisError(
            .discontinuity,
            "The stream \(what). Decide where to go on, or choose another policy for discontinuities."
        )
    }
}
