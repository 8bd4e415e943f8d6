internal import DequeModule

/// Finds the entry that a consumer cannot read, once reads of single entries fail as well. It does no I/O and reads no
/// clock.
///
/// - `idle`: all streams can be read. Goes to `alone`, or, with one stream, to `unreadable`.
/// - `alone`: the streams could not be read together, so the consumer reads each alone. Goes to `unreadable` for a
///   stream that cannot be read alone either, and to `idle` after the last stream.
/// - `unreadable`: a stream could not be read, and the consumer identifies its next entry. If that entry is too large,
///   the consumer skips it. Goes to `candidate` if connections closed, and otherwise to `alone` or `idle`.
/// - `candidate`: connections closed while an entry was read. The consumer skips the entry if it can read the next one.
///   Otherwise the server is at fault, and the consumer tries the entry again.
struct UnreadableSearch {
    enum Cause: Equatable {
        /// The reply exceeds the limits of the connection.
        case tooLarge
        /// Connections closed before the reply arrived.
        case lost
    }

    enum Step: Equatable {
        case readAlone(StreamKey)
        case identify(StreamKey)
        case readBehind(StreamID, StreamKey)
    }

    private var alone: Deque<StreamKey> = []
    private var unreadable: (stream: StreamKey, cause: Cause)?
    private var candidate: (stream: StreamKey, id: StreamID)?
    /// The next entry of the stream when it could not be read the last time.
    private var known: StreamID?
    /// How many connections in a row have closed during the same read.
    private var losses = 0

    /// After so many connections that closed during the same read of single entries, the next entry is identified.
    private static let manyLosses = 3

    var step: Step? {
        if let candidate { return .readBehind(candidate.id, candidate.stream) }
        if let unreadable { return .identify(unreadable.stream) }
        return alone.first.map { .readAlone($0) }
    }

    // MARK: Reads

    /// The server answered a read of all streams, or of one alone.
    mutating func wasRead() {
        losses = 0
        candidate = nil
        if unreadable == nil { _ = alone.popFirst() }
    }

    /// The reply to a read of single entries was too large.
    mutating func refused(_ streams: some Collection<StreamKey>) {
        losses = 0
        if candidate != nil { return candidate = nil }
        narrowDown(.tooLarge, streams)
    }

    /// The connection closed during a read. Returns whether the next read should ask for fewer messages.
    mutating func connectionEnded() -> Bool {
        losses += 1
        candidate = nil
        return losses >= 2
    }

    /// The next read asks for fewer messages.
    mutating func batchHalved() { losses = 0 }

    /// The connection closed during a read of single entries, so the next read cannot ask for fewer.
    mutating func lost(_ streams: some Collection<StreamKey>) {
        guard losses >= Self.manyLosses else { return }
        losses = 0
        narrowDown(.lost, streams)
    }

    private mutating func narrowDown(_ cause: Cause, _ streams: some Collection<StreamKey>) {
        if let stream = alone.first ?? (streams.count == 1 ? streams.first : nil) {
            unreadable = (stream, cause)
        } else {
            alone = Deque(streams)
        }
    }

    // MARK: Entries

    /// The next entry of the unreadable stream was identified. Returns whether the consumer skips it.
    ///
    /// The consumer skips an entry of usual size only if it was the next one the last time as well. Otherwise the entry
    /// that could not be read may have been trimmed in between.
    mutating func identified(_ id: StreamID?, isLarge: Bool) -> Bool {
        guard let (stream, cause) = unreadable else { return false }
        unreadable = nil
        guard let id else { return false }
        switch cause {
        case .lost:
            candidate = (stream, id)
            return false
        case .tooLarge:
            if isLarge || known == id {
                skipped()
                return true
            }
            known = id
            return false
        }
    }

    /// The next entry cannot be identified. Returns why it was to be identified.
    mutating func cannotIdentify() -> Cause? {
        defer { unreadable = nil }
        return unreadable?.cause
    }

    /// The server answered the read of the entry after the candidate. Returns the candidate's id if the consumer skips
    /// it.
    mutating func readBehind(isEmpty: Bool) -> StreamID? {
        defer { candidate = nil }
        guard let candidate, !isEmpty else { return nil }
        skipped()
        return candidate.id
    }

    private mutating func skipped() {
        known = nil
        losses = 0
        _ = alone.popFirst()
    }

    /// The consumer stops reading these streams.
    mutating func drop(_ streams: Set<StreamKey>) {
        alone.removeAll { streams.contains($0) }
        if let unreadable, streams.contains(unreadable.stream) { self.unreadable = nil }
        if let candidate, streams.contains(candidate.stream) { self.candidate = nil }
    }
}
