internal import NIOCore

/// When the pending list of the group is scanned for idle messages (`XAUTOCLAIM`), and from where. Free of I/O and
/// clocks.
///
/// A scan goes through the list in steps, from cursor zero back to zero; then it pauses for the claim interval. After a
/// step that has claimed messages, the next one follows at once, in turn with reads. A step that has found nothing
/// costs the server time too, so that the next one follows a second later.
struct ClaimScan {
    /// What to do before the next read.
    enum Step: Equatable {
        case claim(from: StreamID)
        /// No claim now. The read may wait on the server for this time at most; `nil` for not at all.
        case read(waitingAtMost: Duration?)
    }

    private let interval: Duration
    /// The factor of the pauses, so that consumers that start together do not always scan together.
    private let pace: Double
    /// Where the scan continues; zero between scans.
    private var cursor = StreamID.zero
    private var nextClaim: NIODeadline
    /// Nothing is claimed before this time.
    private var heldUntil = NIODeadline.uptimeNanoseconds(0)
    private var phase = Phase.pausing

    /// - `pausing`: the next step follows at its time. Goes to `claiming`.
    /// - `claiming`: a step is in flight; `hasFound` says that the one before has claimed messages. Goes to
    ///   `readingFirst` if this one claims messages, else to `pausing`.
    /// - `readingFirst`: a read comes first, and then the next step. Goes to `finding` with the reply to a read.
    /// - `finding`: the next step is due. Goes to `claiming`.
    private enum Phase {
        case pausing
        case claiming(hasFound: Bool)
        case readingFirst
        case finding
    }

    /// - Parameter jitter: From 0 to 1.
    init(interval: Duration, now: NIODeadline, jitter: Double) {
        self.interval = interval
        pace = 1 - 0.25 * jitter
        nextClaim = now
    }

    func next(now: NIODeadline) -> Step {
        switch phase {
        // If the last step found nothing, this one most likely finds nothing either, so that the read may wait.
        case .claiming(let hasFound): return .read(waitingAtMost: hasFound ? nil : interval)
        case .readingFirst: return .read(waitingAtMost: nil)
        case .finding: return .claim(from: cursor)
        case .pausing:
            if nextClaim <= now { return .claim(from: cursor) }
            return .read(waitingAtMost: .nanoseconds((nextClaim - now).nanoseconds))
        }
    }

    /// A step was sent: the next read follows in the same write.
    mutating func claimSent() {
        switch phase {
        case .finding, .readingFirst: phase = .claiming(hasFound: true)
        case .claiming, .pausing: phase = .claiming(hasFound: false)
        }
    }

    /// The reply to a step has arrived: `next` is the cursor to continue at, zero at the end; `goesOn` says that the
    /// step has claimed messages; `pause` is the longest pause before the next one.
    mutating func claimed(next: StreamID, goesOn: Bool, pause: Duration, now: NIODeadline) {
        // With a cursor that does not go forward, the scan would never end.
        let next = next > cursor ? next : .zero
        cursor = next
        phase = goesOn && next != .zero ? .readingFirst : .pausing
        nextClaim = now + TimeAmount((next == .zero ? interval : min(interval, pause)) * pace)
        if now < heldUntil { hold(until: heldUntil) }
    }

    /// The reply to a read has arrived.
    mutating func wasRead() {
        if case .readingFirst = phase { phase = .finding }
    }

    /// The step in flight has failed.
    mutating func failed() {
        if case .claiming(let hasFound) = phase { phase = hasFound ? .finding : .pausing }
    }

    /// Claims nothing before `time`, whatever a step in flight brings.
    mutating func hold(until time: NIODeadline) {
        heldUntil = max(heldUntil, time)
        nextClaim = max(nextClaim, heldUntil)
        switch phase {
        case .claiming: phase = .claiming(hasFound: false)
        case .readingFirst, .finding, .pausing: phase = .pausing
        }
    }

    /// The group was created: the next scan starts at cursor zero.
    mutating func groupWasCreated() {
        cursor = .zero
        phase = .pausing
    }
}
