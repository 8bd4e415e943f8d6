internal import DequeModule

/// Where a stream consumer stands and what it does next. Free of sockets and clocks.
///
/// A stream whose position is not known yet is asked for first. From then on positions are concrete ids. They go up, and
/// back only when a look at the stream has shown that it does not go on where it was.
///
/// Failures are counted until something was served: messages, or a read that waited for as long as it was to. A look that
/// was answered is not enough, or a server that answers everything but reads would be asked without a pause.
struct StreamConsumerStateMachine: ~Copyable {
    enum Step: Equatable {
        /// Find out the position that was kept under a name.
        case restore(StreamKey, name: String)
        /// Find out the last id.
        case findLast(StreamKey)
        /// Look at the streams, which are read behind these ids.
        case look([StreamOffset])
        case read([StreamOffset])
        /// Read one stream without waiting.
        case readAlone(StreamOffset)
        /// Find out which entry comes next: it could not be read.
        case identify(StreamOffset)
        /// Read one entry, behind one that may be unreadable.
        case readBehind(StreamOffset)
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

    private var unsettledDeliveries: Deque<(stream: StreamKey, start: StreamConsumer.Start)> = []
    private var streams = ReadStreams()
    private let recovery: Recovery
    private var hasEverServed = false
    private var size: BatchSize
    private var search = UnreadableSearch()
    private var failures = 0
    /// The last look has found a stream that does not go on where it was: what is read then may be the same again.
    private var isBroken = false
    /// Whether a stream leaves out what was seen before its position went back.
    private var isLeavingOut = false

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
        for (stream, start) in streams.sorted(by: { $0.key.rawValue < $1.key.rawValue }) { begin(stream, start) }
    }

    private mutating func begin(_ stream: StreamKey, _ start: StreamConsumer.Start) {
        guard let position = start.position else { return unsettledDeliveries.append((stream, start)) }
        var isReached = true
        if case .time = start { isReached = false }
        streams.append(StreamOffset(stream, after: position), StreamHistory(isReached: isReached))
    }

    func next() -> Step {
        if let (stream, start) = unsettledDeliveries.first {
            if case .resume(let name, _) = start { return .restore(stream, name: name) }
            return .findLast(stream)
        }
        if isLookDue, mayLook {
            // Behind the beginning nothing can be missing.
            let offsets = hasIntruder ? streams.positions : streams.positions.filter { $0.id > .zero }
            if !offsets.isEmpty { return .look(offsets) }
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

    /// Behind which id a stream is read; `nil` while that is not known.
    func position(of stream: StreamKey) -> StreamID? { streams.index(of: stream).map { streams.positions[$0].id } }

    /// The last id of a stream; zero if there is no stream yet.
    mutating func foundLast(_ id: StreamID, of stream: StreamKey) {
        served()
        resolve(stream, at: id)
    }

    /// The position that was kept for a stream; `nil` if there is none, so that it begins elsewhere.
    mutating func restored(_ id: StreamID?, of stream: StreamKey) {
        served()
        if let id {
            // Much may have happened since.
            isLookDue = true
            return resolve(stream, at: id)
        }
        guard let first = unsettledDeliveries.first, first.stream == stream else { return }
        unsettledDeliveries.removeFirst()
        if case .resume(_, let start) = first.start { begin(stream, start) }
    }

    private mutating func resolve(_ stream: StreamKey, at id: StreamID) {
        guard unsettledDeliveries.first?.stream == stream else { return }
        unsettledDeliveries.removeFirst()
        streams.append(StreamOffset(stream, after: id), StreamHistory(isKnown: id > .zero, isEntry: id > .zero))
    }

    /// A time has passed in which a stream should have been looked at.
    mutating func tick() {
        if !hasLooked { isLookDue = true }
        hasLooked = false
    }

    // MARK: Reading

    /// How many messages of each stream to ask for.
    var count: Int { size.count }

    /// A read was answered, one that waits when the time to wait had passed. Returns whether there seem to be more messages.
    mutating func read(_ batches: [MessageBatch]) throws(RedisError) -> Bool {
        try checkProgress(batches)
        hasEverServed = true
        hasIntruder = false
        // A read of one stream alone has not waited.
        let hasWaited = search.step == nil
        if batches.isEmpty, hasWaited { isLookDue = true }
        if batches.isEmpty ? hasWaited : !isBroken { failures = 0 }
        search.wasRead()
        let isBacklog = batches.contains { $0.count >= size.count }
        for batch in batches {
            guard let last = batch.last?.id, let index = streams.index(of: batch.stream) else { continue }
            streams.move(index, to: last)
            streams.withHistory(index) { $0.read(batch) }
        }
        // `COUNT` is that of each stream, and the bytes are those of all.
        size.received(batches.map(\.count).max() ?? 0, bytes: batches.reduce(0) { $0 + $1.byteCount })
        return isBacklog
    }

    /// A server that answers with what was read before would be asked for it again and again.
    private func checkProgress(_ batches: [MessageBatch]) throws(RedisError) {
        for batch in batches {
            guard let first = batch.first?.id else { continue }
            guard let position = position(of: batch.stream), first > position else {
                throw RedisError(
                    .unexpectedReply,
                    "The server answered a read with entries that were not asked for.",
                    command: XREAD.name
                )
            }
        }
    }

    /// What has been read, without what was seen before a position went back.
    mutating func leavingOutSeen(_ batches: [MessageBatch]) -> [MessageBatch] {
        guard isLeavingOut else { return batches }
        let left = batches.map { batch in
            guard let index = streams.index(of: batch.stream) else { return batch }
            return streams.withHistory(index) { $0.leavingOutSeen(batch) }
        }
        isLeavingOut = streams.histories.contains(where: \.isLeavingOut)
        return left
    }

    private mutating func served() {
        hasEverServed = true
        failures = 0
    }

    // MARK: Failures

    /// A step failed, or connecting did.
    ///
    /// - Parameter waits: Whether a server that was never reached is waited for.
    mutating func failed(_ error: RedisError, waits: Bool = false) -> FailureReaction {
        if error.code == .wrongType, mayLook, !hasIntruder, streams.count > 1 {
            // It is the end of one stream. Which one is not said.
            hasIntruder = true
            isLookDue = true
            return .proceed
        }
        let isRead = error.command == XREAD.name
        let isTooLarge = isRead && error.code == .replyTooLarge
        guard error.isRetriable || isTooLarge, hasEverServed || waits || !error.isUnreachable else {
            return .stop(error)
        }
        failures += 1
        if isRead { readFailed(error) }
        if error.code != .replyTooLarge { isLookDue = true }
        // A read may be unblocked by somebody, once.
        if error.code == .unblocked, failures == 1 { return .proceed }
        return .retry(error, attempt: failures)
    }

    private mutating func readFailed(_ error: RedisError) {
        let keys = streams.positions.lazy.map(\.stream)
        switch error.code {
        case .replyTooLarge: if !size.tooLarge() { search.refused(keys) }
        case .connectionClosed, .timeout:
            // Else the connection had ended before.
            guard error.mayHaveExecuted else { return }
            guard search.connectionEnded() else { return }
            if size.connectionsEnded() { search.isHalved() } else { search.lost(keys) }
        default: break
        }
    }

    // MARK: Entries that cannot be read

    /// The entry behind a position was identified, which could not be read. Returns it if it is to be passed over.
    mutating func identified(_ id: StreamID?, isLarge: Bool, behind offset: StreamOffset) -> StreamID? {
        guard search.identified(id, isLarge: isLarge), let id else { return nil }
        passOver(id, of: offset.stream)
        return id
    }

    /// The server does not let this reader find out which entry cannot be read. Returns why reading ends, if it does.
    mutating func cannotIdentify(behind offset: StreamOffset) -> RedisError? {
        guard search.cannotIdentify() == .tooLarge else { return nil }
        return RedisError(
            .replyTooLarge,
            "The entry of \(offset.stream) behind \(offset.id) is larger than this client accepts. Delete it or raise "
                + "RESPLimits; a user who may run scripts (EVAL, EVALSHA) passes over such entries.",
            command: ScriptCall.name
        )
    }

    /// The entry behind one that may be unreadable was asked for. Returns the one that is passed over.
    mutating func readBehind(_ batches: [MessageBatch], of stream: StreamKey) -> StreamID? {
        guard let id = search.readBehind(isEmpty: batches.isEmpty) else { return nil }
        passOver(id, of: stream)
        return id
    }

    private mutating func passOver(_ id: StreamID, of stream: StreamKey) {
        guard let index = streams.index(of: stream), id > streams.positions[index].id else { return }
        streams.move(index, to: id)
        streams.withHistory(index) { $0.passOver() }
    }

    // MARK: Looking

    /// The entries of which it has to be known whether they are there.
    func suspects(among looks: [StreamKey: StreamProbe]) -> [StreamOffset] {
        streams.positions.indices.flatMap { index -> [StreamOffset] in
            let (key, id) = (streams.positions[index].stream, streams.positions[index].id)
            guard case .there(let stream) = looks[key] else { return [] }
            let landmarks = streams.histories[index].landmarks(at: id)
            return landmarks.filter(stream.couldLack).map { StreamOffset(key, after: $0) }
        }
    }

    /// The streams have been looked at, while nothing was on its way.
    mutating func looked(_ looks: [StreamKey: StreamProbe]) -> Outcome {
        hasEverServed = true
        isLookDue = false
        hasLooked = true
        var outcome = Outcome()
        var dropped: Set<StreamKey> = []
        for index in streams.positions.indices.reversed() {
            let key = streams.positions[index].stream
            guard let look = looks[key] else { continue }
            switch look {
            case .replaced:
                if streams.count - dropped.count > 1 || !unsettledDeliveries.isEmpty {
                    dropped.insert(key)
                    outcome.events.append(.discontinuity(dropping(index)))
                } else {
                    outcome.failure = RedisError(serverText: "WRONGTYPE The key holds no stream", command: XREAD.name)
                }
            case .missing: judge(nil, index, &outcome)
            case .there(let stream): judge(stream, index, &outcome)
            }
        }
        streams.remove(dropped)
        search.drop(dropped)
        isBroken = !outcome.moves.isEmpty
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
        if unsettledDeliveries.first?.stream == stream { unsettledDeliveries.removeFirst() }
        return streams.count > 0 || !unsettledDeliveries.isEmpty
    }

    private func dropping(_ index: Int) -> Discontinuity {
        let offset = streams.positions[index]
        return Discontinuity(.replaced, stream: offset.stream, position: offset.id, lastID: .zero)
    }

    private mutating func judge(_ stream: StreamObservation?, _ index: Int, _ outcome: inout Outcome) {
        let offset = streams.positions[index]
        switch streams.withHistory(index, { $0.compare(stream, at: offset.id) }) {
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
        case .ignore: return streams.withHistory(index) { $0.stay(despite: found.kind) }
        case .stop: outcome.failure = .discontinuity(found)
        case .latest:
            streams.move(index, to: found.lastID)
            streams.withHistory(index) { $0.startAnew(isKnown: found.kind != .missing) }
        case .follow: follow(found, index)
        }
        outcome.moves.append(streams.positions[index])
    }

    /// For how long before a loss the same ids need not be the same entries: that of a split.
    private static let doubtfulTime = Duration.seconds(1)

    private mutating func follow(_ found: Discontinuity, _ index: Int) {
        let history = streams.histories[index]
        // Ids that a clock has made do not come twice: a stream that ends with one that was seen is the same stream, with
        // less in it.
        let isSame = found.lastID.isMadeByClock && history.seen.contains(found.lastID)
        guard found.kind == .diverged || (found.kind == .regressed && isSame) else {
            streams.move(index, to: .zero)
            return streams.withHistory(index) { $0.startAnew(isKnown: found.kind != .missing) }
        }
        let lostID = history.lostID ?? found.position
        let known = min(lostID, found.position, found.lastID)
        let target = known.rewound(by: recovery.rewind)
        streams.withHistory(index) { $0.rewind(to: target, leavingOutUpTo: known.rewound(by: Self.doubtfulTime)) }
        isLeavingOut = isLeavingOut || streams.histories[index].isLeavingOut
        streams.move(index, to: target)
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
