internal import DequeModule

/// Finds the entry that keeps a reader from reading on, once even single entries could not be read. Free of sockets and
/// clocks.
///
/// - `idle`: nothing is searched for.
/// - `alone`: all streams together could not be read, so each is read alone. One that cannot be is a suspect; else `idle`.
/// - `suspect`: it has to be found out which entry is the next one of a stream. If it is too large, it is passed over.
/// - `candidate`: connections have ended while an entry was read. It is passed over if the one behind it can be read: else
///   the server is to blame, and the entry is tried again.
struct UnreadableSearch {
    enum Cause: Equatable {
        /// The reply exceeds what the connection accepts.
        case tooLarge
        /// Connections ended before the reply had come.
        case lost
    }

    enum Step: Equatable {
        case readAlone(StreamKey)
        case identify(StreamKey)
        case readBehind(StreamID, StreamKey)
    }

    private var alone: Deque<StreamKey> = []
    private var suspect: (stream: StreamKey, cause: Cause)?
    private var candidate: (stream: StreamKey, id: StreamID)?
    /// The entry that was the next one when the stream could not be read before.
    private var known: StreamID?
    /// How many connections have ended, one after the other, while the same was read.
    private var losses = 0

    /// After so many connections that end within the same read of single entries, the entry is looked at.
    private static let manyLosses = 3

    var step: Step? {
        if let candidate { return .readBehind(candidate.id, candidate.stream) }
        if let suspect { return .identify(suspect.stream) }
        return alone.first.map { .readAlone($0) }
    }

    // MARK: Reads

    /// A read of these streams, or of one alone, was answered.
    mutating func wasRead() {
        losses = 0
        candidate = nil
        if suspect == nil { _ = alone.popFirst() }
    }

    /// The reply to a read was refused, of single entries.
    mutating func refused(_ streams: some Collection<StreamKey>) {
        losses = 0
        if candidate != nil { return candidate = nil }
        accuse(.tooLarge, streams)
    }

    /// A connection has ended within a read. Returns whether less should be asked for at a time.
    mutating func connectionEnded() -> Bool {
        losses += 1
        candidate = nil
        return losses >= 2
    }

    /// Less is asked for now.
    mutating func isHalved() { losses = 0 }

    /// Less cannot be asked for.
    mutating func lost(_ streams: some Collection<StreamKey>) {
        guard losses >= Self.manyLosses else { return }
        losses = 0
        accuse(.lost, streams)
    }

    private mutating func accuse(_ cause: Cause, _ streams: some Collection<StreamKey>) {
        if let stream = alone.first ?? (streams.count == 1 ? streams.first : nil) {
            suspect = (stream, cause)
        } else {
            alone = Deque(streams)
        }
    }

    // MARK: Entries

    /// The next entry of the suspect was identified. Returns whether it is to be passed over.
    ///
    /// An entry of usual size is suspected only if it was the next one before as well: another one may have been trimmed in
    /// between.
    mutating func identified(_ id: StreamID?, isLarge: Bool) -> Bool {
        guard let (stream, cause) = suspect else { return false }
        suspect = nil
        guard let id else { return false }
        switch cause {
        case .lost:
            candidate = (stream, id)
            return false
        case .tooLarge:
            if isLarge || known == id {
                passed()
                return true
            }
            known = id
            return false
        }
    }

    /// It cannot be found out which entry it is. Returns why it was to be.
    mutating func cannotIdentify() -> Cause? {
        defer { suspect = nil }
        return suspect?.cause
    }

    /// The entry behind the candidate was read, or there is none. Returns the entry to be passed over.
    mutating func readBehind(isEmpty: Bool) -> StreamID? {
        defer { candidate = nil }
        guard let candidate, !isEmpty else { return nil }
        passed()
        return candidate.id
    }

    private mutating func passed() {
        known = nil
        losses = 0
        _ = alone.popFirst()
    }

    /// A stream is not read any more.
    mutating func drop(_ streams: Set<StreamKey>) {
        alone.removeAll { streams.contains($0) }
        if let suspect, streams.contains(suspect.stream) { self.suspect = nil }
        if let candidate, streams.contains(candidate.stream) { self.candidate = nil }
    }
}
