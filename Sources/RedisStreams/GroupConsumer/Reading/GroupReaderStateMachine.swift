internal import NIOCore

/// Decides what a group consumer does next on its connection. Free of I/O and clocks: callers pass the time.
///
/// - `recovering`: reads the own pending list, page by page: messages that the server gave to this consumer before a
///   restart, or in a reply that was lost. Goes to `consuming` after the last page.
/// - `consuming`: reads new messages. A step of the claim scan that is due goes before a read, in the same write. Goes
///   to `recovering` when a reply may have been lost.
///
/// In both, the consumer first creates a missing group.
struct GroupReaderStateMachine: ~Copyable {
    enum Step: Equatable {
        /// `isLost` says that the group existed before.
        case createGroup(isLost: Bool)
        case recover(after: StreamID)
        case claim(from: StreamID)
        /// `block` is `nil` for a read that returns at once.
        case readNew(block: Duration?)
    }

    private enum Phase {
        case recovering(after: StreamID)
        case consuming
    }

    /// Failures since the server last served: since it delivered messages, or let a read wait for the time that was
    /// asked for.
    private struct Setbacks {
        var failures = 0
        /// Connections that ended while a reply was in flight.
        var lostReplies = 0
        /// Reads that returned no messages long before their time.
        var earlyReads = 0
        /// How often another consumer had created the group.
        var othersCreations = 0
        /// Steps of the recovery and of claim scans since then.
        var fruitlessSteps = 0
    }

    /// A time in which the server does not serve.
    private struct Interruption {
        var since: NIODeadline
        /// Whether the server has answered since the last failure.
        var isAnswered = false
    }

    private let configuration: GroupConsumer.Configuration
    private var phase: Phase
    private var needsGroup = false
    /// Whether the group existed, so that it was lost if it is missing.
    private var hasEverServed = false
    /// Whether the recovery has read the whole pending list once: messages that appear there later were delivered since
    /// then.
    private(set) var hasRecovered = false
    private var size: BatchSize
    private var setbacks = Setbacks()
    private var interruption: Interruption?
    /// Whether the end of an interruption is to be reported.
    private var isInterrupted = false
    /// `nil` if the consumer claims nothing.
    private var scan: ClaimScan?
    /// The highest id that was delivered as new.
    private var lastDelivered = StreamID.zero

    /// - Parameter jitter: From 0 to 1, so that consumers that start together do not always scan together.
    init(_ configuration: GroupConsumer.Configuration, now: NIODeadline, jitter: Double = 0) {
        self.configuration = configuration
        size = configuration.size
        phase = configuration.acknowledgement.usesPendingList ? .recovering(after: .zero) : .consuming
        scan = configuration.effectiveClaimInterval.map { ClaimScan(interval: $0, now: now, jitter: jitter) }
    }

    /// Decides on the next step.
    mutating func next(now: NIODeadline) -> Step {
        holdClaimsAfterInterruption(now: now)
        if needsGroup { return .createGroup(isLost: hasEverServed) }
        if case .recovering(let id) = phase { return .recover(after: id) }
        guard let scan else { return .readNew(block: configuration.readBlock) }
        switch scan.next(now: now) {
        case .claim(let cursor): return .claim(from: cursor)
        case .read(let longest):
            return .readNew(block: longest.map { max(.milliseconds(1), min(configuration.readBlock, $0)) })
        }
    }

    /// How many messages to ask for.
    var count: Int { size.count }

    /// How many messages to claim at a time. The server checks ten times as many entries, and serves no other client
    /// meanwhile.
    var claimCount: Int { min(count, 100) }

    /// No consumer can renew a lease while the server is unreachable, so that messages of live consumers can be claimed
    /// when it is back. Those consumers reconnect at about the same time: claims wait until they have acknowledged the
    /// messages that they have handled, and have renewed the leases of the others.
    private mutating func holdClaimsAfterInterruption(now: NIODeadline) {
        guard let interruption else { return }
        if interruption.isAnswered { self.interruption = nil }
        // A consumer renews a lease before it is half over, and is back within a third: a shorter interruption has made
        // no lease expire.
        guard let lease = configuration.lease, now - interruption.since >= TimeAmount(lease / 6) else { return }
        holdClaims(until: now + TimeAmount(min(lease, max(lease / 3, configuration.backoff.limit))))
    }

    /// Claims nothing before `time`, so that other consumers claim the messages that this one has returned.
    mutating func holdClaims(until time: NIODeadline) { scan?.hold(until: time) }

    /// A step of the claim scan was sent: the next read follows in the same write.
    mutating func claimSent() { scan?.claimSent() }

    // MARK: Replies

    mutating func createdGroup() {
        needsGroup = false
        scan?.groupWasCreated()
        groupIsGone()
    }

    /// The group is lost, so that the id that was delivered last says nothing about another group.
    mutating func groupIsGone() { lastDelivered = .zero }

    /// A page of the own pending list was handled; `last` is its last id, `nil` behind the end.
    mutating func recovered(last: StreamID?) {
        answered()
        setbacks.fruitlessSteps += 1
        // If a page did not go forward, the same page would follow again and again.
        if let last, case .recovering(let before) = phase, last > before { return phase = .recovering(after: last) }
        phase = .consuming
        hasRecovered = true
    }

    /// The reply to a step of a claim scan: `next` is the cursor to continue at, zero at the end; `didWork` says
    /// whether the step brought messages, or removed deleted ones from the pending list.
    mutating func claimed(next: StreamID, didWork: Bool, now: NIODeadline) {
        answered()
        setbacks.fruitlessSteps += 1
        let isExhausted = didWork && setbacks.fruitlessSteps > Self.maxFruitlessSteps
        let pause: Duration = isExhausted ? Self.pauseOfWork : .seconds(1)
        scan?.claimed(next: next, goesOn: didWork && !isExhausted, pause: pause, now: now)
    }

    /// The most steps without a pause while no read succeeds.
    private static let maxFruitlessSteps = 1000
    /// The pause between the steps after that.
    private static let pauseOfWork = Duration.milliseconds(10)

    /// How long to wait before the next page of the recovery: a server that always has one more page must not be asked
    /// without a pause.
    var pauseBeforeRecovery: Duration? {
        setbacks.fruitlessSteps > Self.maxFruitlessSteps ? Self.pauseOfWork : nil
    }

    /// A read has returned, with the number and the bytes of its new messages. `hasWaited` says that it waited before
    /// it returned none. Returns whether that ends an interruption.
    @discardableResult
    mutating func readNew(_ messages: Int = 0, bytes: Int = 0, hasWaited: Bool = false) -> Bool {
        answered()
        scan?.wasRead()
        size.received(messages, bytes: bytes)
        guard messages > 0 || hasWaited else { return false }
        served()
        defer { isInterrupted = false }
        return isInterrupted
    }

    /// Whether the group was recreated or set back, if this is the first id of new messages: otherwise a group only
    /// goes forward.
    func isSetBack(to first: StreamID) -> Bool { first <= lastDelivered }

    /// New messages were delivered, up to this id.
    mutating func delivered(upTo last: StreamID) { lastDelivered = last }

    /// A read returned no messages long before its time, although the consumer had not ended it. Returns whether that
    /// was not the first time, so that it counts as a failure: otherwise the consumer would ask such a server without a
    /// pause.
    mutating func readEndedEarly() -> Bool {
        answered()
        scan?.wasRead()
        setbacks.earlyReads += 1
        return setbacks.earlyReads > 1
    }

    /// Reads the own pending list again: the server may have given messages to this consumer that it did not receive.
    mutating func recover() {
        guard configuration.acknowledgement.usesPendingList, configuration.safeguards.contains(.recovery) else {
            return
        }
        phase = .recovering(after: .zero)
    }

    private mutating func answered() {
        hasEverServed = true
        interruption?.isAnswered = true
    }

    /// A read has brought messages, or has waited for its time.
    mutating func served() { setbacks = Setbacks() }

    // MARK: Failures

    /// The server does not serve for now. After a command that timed out, it is not known since when.
    mutating func interrupted(by error: RedisError, now: NIODeadline) {
        isInterrupted = true
        guard interruption == nil else { return }
        interruption = Interruption(since: error.code == .timeout ? .uptimeNanoseconds(0) : now)
    }

    /// A step failed, or connecting did.
    ///
    /// - Parameter waits: Whether to wait for a server that was never reached.
    mutating func failed(_ error: RedisError, waits: Bool = false) -> FailureReaction {
        scan?.failed()
        interruption?.isAnswered = false
        switch error.code {
        case .groupExists:
            // Another consumer has created it first.
            createdGroup()
            setbacks.othersCreations += 1
            let count = setbacks.othersCreations
            return count <= 2 ? .proceed : .retry(error, attempt: count - 2)
        case .noGroup:
            // The consumer needs the group again, and must not create it.
            if needsGroup, hasEverServed, configuration.groupLoss == .fail { return .stop(error) }
            needsGroup = true
            setbacks.failures += 1
            // If someone deletes the group again and again, the consumer must not create it without a pause.
            return setbacks.failures == 1 ? .proceed : .retry(error, attempt: setbacks.failures - 1)
        case .replyTooLarge:
            // The server gave this consumer the messages of that reply. The recovery reads them in smaller batches, and
            // reports an entry that is too large even alone.
            _ = size.tooLarge()
            recover()
        case .slotMoving where setbacks.failures == 0:
            setbacks.failures = 1
            recover()
            return .reconnect
        case .connectionClosed, .timeout:
            // The server may have given messages to this consumer in a reply that never arrived. A server that closes
            // the connection because a reply exceeds its limits would do so again.
            setbacks.lostReplies += error.mayHaveExecuted ? 1 : 0
            if setbacks.lostReplies > 1, size.connectionsEnded() { setbacks.lostReplies = 0 }
            recover()
        default:
            guard error.isRetriable else { return .stop(error) }
            if !hasEverServed, !waits, error.isUnreachable { return .stop(error) }
            // Messages that were read and could not be acknowledged were not delivered.
            if configuration.acknowledgement == .onDelivery { recover() }
        }
        setbacks.failures += 1
        return .retry(error, attempt: setbacks.failures)
    }
}
