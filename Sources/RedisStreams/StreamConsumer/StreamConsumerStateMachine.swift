internal import DequeModule

/// The positions of a stream consumer, and what it does next. It does no I/O and reads no clock.
///
/// The consumer first finds the positions that it does not know yet. From then on every position is a concrete id.
/// Positions go up, and go back only after a probe has shown that the stream no longer continues from there.
///
/// Failures count up until the consumer makes progress: the server reports a start position, a read returns messages,
/// or a read waits for the whole of its `BLOCK`. An answered probe does not reset the count, or the consumer would ask
/// a server that answers everything but reads without a pause.
struct StreamConsumerStateMachine: ~Copyable {
    enum Step: Equatable {
        /// Load the position that was saved under a name.
        case restore(StreamKey, name: String)
        /// Ask for the last id of the stream.
        case findLast(StreamKey)
        /// Probe the streams, which are read after these ids.
        case probe([StreamOffset])
        case read([StreamOffset])
        /// Read one stream alone, without `BLOCK`.
        case readAlone(StreamOffset)
        /// Find the id of the next entry, which could not be read.
        case identify(StreamOffset)
        /// Read one entry, after one that may be unreadable.
        case readBehind(StreamOffset)
    }

    /// How the consumer reacts to discontinuities.
    struct Recovery {
        var policy: DiscontinuityPolicy = .follow
        var rewind: Duration = .seconds(10)
    }

    /// The results of a probe.
    struct Outcome {
        var events: [ConsumerEvent] = []
        /// The positions that the consumer has changed.
        var moves: [StreamOffset] = []
        /// Why the consumer stops reading.
        var failure: RedisError?
    }

    private var unresolvedStarts: Deque<(stream: StreamKey, start: StreamConsumer.Start)> = []
    private var streams = ReadStreams()
    private let recovery: Recovery
    private var hasEverSucceeded = false
    private var size: BatchSize
    private var search = UnreadableSearch()
    private var failures = 0
    /// Whether the last probe has found a discontinuity: the next read may then return the same messages again, and
    /// does not reset the count of failures.
    private var isBroken = false
    /// Whether a stream filters out messages that were delivered before its position went back.
    private var isFilteringSeen = false

    private var isProbeDue = false
    private var hasProbed = false
    private var mayProbe = true
    /// A read has failed with `WRONGTYPE`: one of the keys holds no stream.
    private var hasWrongType = false

    init(
        _ streams: [StreamKey: StreamConsumer.Start],
        size: BatchSize = StreamConsumer.Configuration().size,
        recovery: Recovery = Recovery()
    ) {
        self.size = size
        self.recovery = recovery
        for (stream, start) in streams.sorted(by: { $0.key.rawValue < $1.key.rawValue }) { begin(stream, start) }
    }

    private mutating func begin(_ stream: StreamKey, _ start: StreamConsumer.Start) {
        guard let position = start.position else { return unresolvedStarts.append((stream, start)) }
        var isReached = true
        if case .time = start { isReached = false }
        streams.append(StreamOffset(stream, after: position), StreamHistory(isReached: isReached))
    }

    func next() -> Step {
        if let (stream, start) = unresolvedStarts.first {
            if case .resume(let name, _) = start { return .restore(stream, name: name) }
            return .findLast(stream)
        }
        if isProbeDue, mayProbe {
            // A stream that is read from its beginning has no entries before the position that could be missing.
            let offsets = hasWrongType ? streams.positions : streams.positions.filter { $0.id > .zero }
            if !offsets.isEmpty { return .probe(offsets) }
        }
        switch search.step {
        case .readAlone(let stream): return .readAlone(offset(of: stream))
        case .identify(let stream): return .identify(offset(of: stream))
        case .readBehind(let id, let stream): return .readBehind(StreamOffset(stream, after: id))
        case nil: return .read(streams.positions)
        }
    }

    private func offset(of stream: StreamKey) -> StreamOffset {
        StreamOffset(stream, after: position(of: stream) ?? .zero)
    }

    /// The id after which a stream is read; `nil` while that is unknown.
    func position(of stream: StreamKey) -> StreamID? { streams.index(of: stream).map { streams.positions[$0].id } }

    /// The last id of a stream was found; zero if there is no stream yet.
    mutating func foundLast(_ id: StreamID, of stream: StreamKey) {
        succeeded()
        resolve(stream, at: id)
    }

    /// The saved position of a stream was loaded; `nil` if none is saved, so that the stream starts at `else`.
    mutating func restored(_ id: StreamID?, of stream: StreamKey) {
        succeeded()
        if let id {
            // The stream may have changed since the position was saved.
            isProbeDue = true
            return resolve(stream, at: id)
        }
        guard let first = unresolvedStarts.first, first.stream == stream else { return }
        unresolvedStarts.removeFirst()
        if case .resume(_, let start) = first.start { begin(stream, start) }
    }

    private mutating func resolve(_ stream: StreamKey, at id: StreamID) {
        guard unresolvedStarts.first?.stream == stream else { return }
        unresolvedStarts.removeFirst()
        streams.append(StreamOffset(stream, after: id), StreamHistory(isKnown: id > .zero, isEntry: id > .zero))
    }

    /// A `BLOCK` time has passed. The streams are probed at least once in that time.
    mutating func tick() {
        if !hasProbed { isProbeDue = true }
        hasProbed = false
    }

    // MARK: Reading

    /// How many messages of each stream to ask for (`COUNT`).
    var count: Int { size.count }

    /// The server answered a read; without messages only when the wait of a blocking read was over. Returns whether
    /// there seem to be more messages.
    mutating func read(_ batches: [MessageBatch]) throws(RedisError) -> Bool {
        try checkProgress(batches)
        hasEverSucceeded = true
        hasWrongType = false
        // A read of one stream alone does not block.
        let hasWaited = search.step == nil
        if batches.isEmpty, hasWaited { isProbeDue = true }
        if batches.isEmpty ? hasWaited : !isBroken { failures = 0 }
        search.wasRead()
        let isBacklog = batches.contains { $0.count >= size.count }
        for batch in batches {
            guard let last = batch.last?.id, let index = streams.index(of: batch.stream) else { continue }
            streams.move(index, to: last)
            streams.withHistory(index) { $0.read(batch) }
        }
        // `COUNT` applies to each stream, and the bytes to all together.
        size.received(batches.map(\.count).max() ?? 0, bytes: batches.reduce(0) { $0 + $1.byteCount })
        return isBacklog
    }

    /// Otherwise the consumer would ask again and again, without a pause, a server that always answers with entries
    /// from before the position.
    private func checkProgress(_ batches: [MessageBatch]) throws(RedisError) {
        for batch in batches {
            guard let first = batch.first?.id else { continue }
            guard let position = position(of: batch.stream), first > position else {
                throw RedisError(
                    .unexpectedReply,
                    "The server answered a read with entries that the consumer did not ask for.",
                    command: XREAD.name
                )
            }
        }
    }

    /// Returns the batches without the messages that were delivered before a position went back.
    mutating func filteringSeen(_ batches: [MessageBatch]) -> [MessageBatch] {
        guard isFilteringSeen else { return batches }
        let filtered = batches.map { batch in
            guard let index = streams.index(of: batch.stream) else { return batch }
            return streams.withHistory(index) { $0.filteringSeen(batch) }
        }
        isFilteringSeen = streams.histories.contains(where: \.isFilteringSeen)
        return filtered
    }

    private mutating func succeeded() {
        hasEverSucceeded = true
        failures = 0
    }

    // MARK: Failures

    /// A step failed, or the consumer could not connect.
    ///
    /// - Parameter waits: Whether the consumer waits for a server that it has never reached.
    mutating func failed(_ error: RedisError, waits: Bool = false) -> FailureReaction {
        if error.code == .wrongType, mayProbe, !hasWrongType, streams.count > 1 {
            // The error ends the reading of one stream only, but does not say of which. A probe finds that out.
            hasWrongType = true
            isProbeDue = true
            return .proceed
        }
        let isRead = error.command == XREAD.name
        let isTooLarge = isRead && error.code == .replyTooLarge
        guard error.isRetriable || isTooLarge, hasEverSucceeded || waits || !error.isUnreachable else {
            return .stop(error)
        }
        failures += 1
        if isRead { readFailed(error) }
        if error.code != .replyTooLarge { isProbeDue = true }
        // Somebody may have run `CLIENT UNBLOCK`; the first time, the consumer reads on without a pause.
        if error.code == .unblocked, failures == 1 { return .proceed }
        if error.code == .slotMoving, failures == 1 { return .reconnect }
        return .retry(error, attempt: failures)
    }

    private mutating func readFailed(_ error: RedisError) {
        let keys = streams.positions.lazy.map(\.stream)
        switch error.code {
        case .replyTooLarge: if !size.tooLarge() { search.refused(keys) }
        case .connectionClosed, .timeout:
            // Otherwise the connection closed before the command was sent.
            guard error.mayHaveExecuted else { return }
            guard search.connectionEnded() else { return }
            if size.connectionsEnded() { search.batchHalved() } else { search.lost(keys) }
        default: break
        }
    }

    // MARK: Entries that cannot be read

    /// The next entry after a position, which could not be read, was identified. Returns its id if the consumer skips
    /// it.
    mutating func identified(_ id: StreamID?, isLarge: Bool, behind offset: StreamOffset) -> StreamID? {
        guard search.identified(id, isLarge: isLarge), let id else { return nil }
        skip(id, of: offset.stream)
        return id
    }

    /// The server refuses the script that identifies the next entry. Returns why the consumer stops reading, if it
    /// does.
    mutating func cannotIdentify(behind offset: StreamOffset) -> RedisError? {
        guard search.cannotIdentify() == .tooLarge else { return nil }
        return RedisError(
            .replyTooLarge,
            "The entry of \(offset.stream) after \(offset.id) is larger than this client accepts. Delete it or raise "
                + "RESPLimits; with the right to run scripts (EVAL, EVALSHA), the consumer skips it.",
            command: ScriptCall.name
        )
    }

    /// The server answered a read after an entry that may be unreadable. Returns the id of that entry if the consumer
    /// skips it.
    mutating func readBehind(_ batches: [MessageBatch], of stream: StreamKey) -> StreamID? {
        guard let id = search.readBehind(isEmpty: batches.isEmpty) else { return nil }
        skip(id, of: stream)
        return id
    }

    private mutating func skip(_ id: StreamID, of stream: StreamKey) {
        guard let index = streams.index(of: stream), id > streams.positions[index].id else { return }
        streams.move(index, to: id)
        streams.withHistory(index) { $0.skipEntry() }
    }

    // MARK: Probing

    /// The entries for which a second probe has to tell whether the streams still have them.
    func entriesToCheck(in probes: [StreamKey: StreamProbe]) -> [StreamOffset] {
        streams.positions.indices.flatMap { index -> [StreamOffset] in
            let (key, id) = (streams.positions[index].stream, streams.positions[index].id)
            guard case .there(let stream) = probes[key] else { return [] }
            let landmarks = streams.histories[index].landmarks(at: id)
            return landmarks.filter(stream.couldLack).map { StreamOffset(key, after: $0) }
        }
    }

    /// The streams were probed, while no read was in flight.
    mutating func probed(_ probes: [StreamKey: StreamProbe]) -> Outcome {
        hasEverSucceeded = true
        isProbeDue = false
        hasProbed = true
        var outcome = Outcome()
        var dropped: Set<StreamKey> = []
        for index in streams.positions.indices.reversed() {
            let key = streams.positions[index].stream
            guard let probe = probes[key] else { continue }
            switch probe {
            case .replaced:
                if streams.count - dropped.count > 1 || !unresolvedStarts.isEmpty {
                    dropped.insert(key)
                    outcome.events.append(.discontinuity(dropping(index)))
                } else {
                    outcome.failure = RedisError(serverText: "WRONGTYPE The key holds no stream", command: XREAD.name)
                }
            case .missing: evaluate(nil, index, &outcome)
            case .there(let stream): evaluate(stream, index, &outcome)
            }
        }
        streams.remove(dropped)
        search.drop(dropped)
        isBroken = !outcome.moves.isEmpty
        // If the probe found no key of another type, `hasWrongType` stays set, so that the next `WRONGTYPE` ends the
        // reading.
        if hasWrongType, !probes.values.contains(where: { if case .replaced = $0 { true } else { false } }) {
            return outcome
        }
        hasWrongType = false
        return outcome
    }

    /// The server refuses the commands of a probe: the user has no right to them, or the server does not know them.
    mutating func probesRefused() {
        mayProbe = false
        isProbeDue = false
    }

    /// A key holds no stream, which the consumer has found before its first read. Returns whether there are other
    /// streams to read.
    mutating func refused(_ stream: StreamKey) -> Bool {
        if unresolvedStarts.first?.stream == stream { unresolvedStarts.removeFirst() }
        return streams.count > 0 || !unresolvedStarts.isEmpty
    }

    private func dropping(_ index: Int) -> Discontinuity {
        let offset = streams.positions[index]
        return Discontinuity(.replaced, stream: offset.stream, position: offset.id, lastID: .zero)
    }

    private mutating func evaluate(_ stream: StreamObservation?, _ index: Int, _ outcome: inout Outcome) {
        let offset = streams.positions[index]
        switch streams.withHistory(index, { $0.compare(stream, at: offset.id) }) {
        case .sound: break
        case .lost(let count, let after, let before):
            outcome.events.append(.trimmedUnread(count: count, after: after, before: before))
        case .broken(let kind):
            let lastID = stream?.lastID ?? .zero
            let found = Discontinuity(kind, stream: offset.stream, position: offset.id, lastID: lastID)
            outcome.events.append(.discontinuity(found))
            applyPolicy(to: found, index, &outcome)
        }
    }

    private mutating func applyPolicy(to found: Discontinuity, _ index: Int, _ outcome: inout Outcome) {
        switch recovery.policy {
        case .ignore: return streams.withHistory(index) { $0.stay(despite: found.kind) }
        case .stop: outcome.failure = .discontinuity(found)
        case .latest:
            streams.move(index, to: found.lastID)
            streams.withHistory(index) { $0.reset(isKnown: found.kind != .missing) }
        case .follow: follow(found, index)
        }
        outcome.moves.append(streams.positions[index])
    }

    /// How long before a loss two servers may have used the same ids for different entries, because both were master.
    private static let doubtfulTime = Duration.seconds(1)

    private mutating func follow(_ found: Discontinuity, _ index: Int) {
        let history = streams.histories[index]
        // A recreated stream does not repeat an id that a clock has generated. So a stream that ends with an id that
        // was read is the same stream with fewer entries.
        let isSame = found.lastID.isMadeByClock && history.seen.contains(found.lastID)
        guard found.kind == .diverged || (found.kind == .regressed && isSame) else {
            streams.move(index, to: .zero)
            return streams.withHistory(index) { $0.reset(isKnown: found.kind != .missing) }
        }
        let lostID = history.lostID ?? found.position
        let known = min(lostID, found.position, found.lastID)
        let target = known.rewound(by: recovery.rewind)
        streams.withHistory(index) { $0.rewind(to: target, filteringUpTo: known.rewound(by: Self.doubtfulTime)) }
        isFilteringSeen = isFilteringSeen || streams.histories[index].isFilteringSeen
        streams.move(index, to: target)
    }
}

extension StreamID {
    /// Whether the server may have generated the id from its clock: from the year 2001 on.
    fileprivate var isMadeByClock: Bool { milliseconds >= 1_000_000_000_000 }

    /// The last id before the time that lies `duration` before this id's.
    fileprivate func rewound(by duration: Duration) -> StreamID {
        let span = UInt64(Swift.max(0, duration.wholeMilliseconds))
        guard milliseconds > span else { return .zero }
        return StreamID(milliseconds: milliseconds - span).previous ?? .zero
    }
}

extension RedisError {
    /// The error of a consumer with the policy `stop`.
    static func discontinuity(_ found: Discontinuity) -> RedisError {
        let what =
            switch found.kind {
            case .missing: "does not exist any more"
            case .regressed:
                "ends before the position \(found.position), with \(found.lastID): it was recreated, or lost entries"
            case .diverged: "has no entry at the position \(found.position) any more: a server lost entries"
            case .replaced: "was replaced: the key holds another type"
            }
        return RedisError(
            .discontinuity,
            "The stream \(what). Choose a new start, or another policy for discontinuities."
        )
    }
}
