internal import NIOCore

/// What a group consumer does next. Free of sockets and clocks: time comes in as a value.
///
/// - `recovering`: looks through what is pending for this consumer already, page by page, from before a restart or a lost
///   connection. Goes to `consuming` after the last page.
/// - `consuming`: reads new messages. As soon as it is due, a step of the claim scan goes before a read, in the same write;
///   while that does some work, the next step follows the next read.
///
/// In both, a missing group is created first, which also forgets where the claim scan was.
struct GroupConsumerStateMachine: ~Copyable {
    enum Step: Equatable {
        /// `isLost` says that the group was there before.
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

    private let configuration: GroupConsumer.Configuration
    private var phase: Phase
    private var needsGroup = false
    /// Whether the group was there, and so is known to be lost if it is missing.
    private var hasEverServed = false
    /// Whether the own pending list was looked through to the end: what turns up there later was delivered since.
    private(set) var hasRecovered = false
    private var size: BatchSize
    /// Failures since something was served: messages came, or a read waited for as long as it was asked to.
    private var failures = 0
    /// Connections that ended since then while a reply was under way.
    private var lostReplies = 0
    /// Reads since then that came back with nothing long before their time.
    private var earlyReads = 0
    /// How often since then another consumer had created the group.
    private var takenCreations = 0
    /// What the times between the steps of a claim scan are multiplied with.
    private let pace: Double

    /// Where the claim scan goes on; zero between scans.
    private var claimCursor = StreamID.zero
    private var nextClaim: NIODeadline
    /// Before this time there is no claim, whatever a step that is on its way brings.
    private var claimsHeldUntil = NIODeadline.uptimeNanoseconds(0)
    /// Whether the last step of the scan has done some work, so that the next one follows the next read.
    private var isFinding = false
    /// How many steps of scans and of sweeps have followed each other without anything being served.
    private var fruitlessSteps = 0
    /// Whether the last step was one of a claim scan, so that a read is next.
    private var readIsNext = false
    /// Whether a step of a claim scan is on its way.
    private var isClaiming = false
    /// Since when the server has not served; `nil` while it does.
    private var interruptedSince: NIODeadline?
    /// Whether the server has answered since the last failure.
    private var isAnswered = false

    /// - Parameter jitter: From 0 to 1: consumers that started together shall not look together for ever.
    init(_ configuration: GroupConsumer.Configuration, now: NIODeadline, jitter: Double = 0) {
        self.configuration = configuration
        size = configuration.size
        phase = configuration.acknowledgement.usesPendingList ? .recovering(after: .zero) : .consuming
        nextClaim = now
        pace = 1 - 0.25 * jitter
    }

    /// Decides on the next step.
    mutating func next(now: NIODeadline) -> Step {
        if let start = interruptedSince { holdClaims(since: start, now: now) }
        if needsGroup { return .createGroup(isLost: hasEverServed) }
        if case .recovering(let id) = phase { return .recover(after: id) }
        guard let interval = configuration.effectiveClaimInterval else {
            return .readNew(block: configuration.readBlock)
        }
        // Behind a step of a scan: where the last one found nothing, this one most likely finds nothing either.
        if isClaiming { return .readNew(block: isFinding ? nil : bounded(interval)) }
        if isFinding { return readIsNext ? .readNew(block: nil) : .claim(from: claimCursor) }
        if nextClaim <= now { return .claim(from: claimCursor) }
        return .readNew(block: bounded(.nanoseconds((nextClaim - now).nanoseconds)))
    }

    /// How many messages to ask for.
    var count: Int { size.count }

    /// How many messages to claim at a time: the server looks at ten times as many, while everybody else waits.
    var claimCount: Int { min(count, 100) }

    /// No consumer can renew a lease while the server is away, so messages whose consumers live can be claimed when it is
    /// back. Their consumers connect again at about the same time: claims wait until those have acknowledged what they had
    /// handled, and have renewed the rest.
    private mutating func holdClaims(since start: NIODeadline, now: NIODeadline) {
        if isAnswered { interruptedSince = nil }
        // A lease is half over at most when it is renewed, and whoever renews it is back within a third: what is
        // shorter than the rest has made no lease end.
        guard let lease = configuration.lease, now - start >= TimeAmount(lease / 6) else { return }
        holdOffClaims(until: now + TimeAmount(min(lease, max(lease / 3, configuration.backoff.limit))))
    }

    private func bounded(_ time: Duration) -> Duration {
        max(.milliseconds(1), min(configuration.readBlock, time))
    }

    /// A step of a claim scan is on its way: the next read goes with it.
    mutating func claimSent() {
        isClaiming = true
    }

    /// Claims nothing before `time`: what this consumer has given back is for others first.
    mutating func holdOffClaims(until time: NIODeadline) {
        claimsHeldUntil = max(claimsHeldUntil, time)
        isFinding = false
        nextClaim = max(nextClaim, claimsHeldUntil)
    }

    // MARK: What came of it

    mutating func createdGroup() {
        needsGroup = false
        claimCursor = .zero
        isFinding = false
        readIsNext = false
        isClaiming = false
    }

    /// A page of the own pending list was looked through; `last` is the last id of it, `nil` behind the end.
    mutating func recovered(last: StreamID?) {
        answered()
        fruitlessSteps += 1
        // A page that does not go forward would be followed by the same one, for ever.
        if let last, case .recovering(let before) = phase, last > before { return phase = .recovering(after: last) }
        phase = .consuming
        hasRecovered = true
    }

    /// A step of a claim scan: `next` is where the server says it goes on, zero at the end; `didWork` says whether it
    /// brought messages, or removed deleted ones from the pending list.
    ///
    /// While a step does some work, the next one follows, with reads in between. What others are at work on costs the
    /// server time to look through: then the steps keep a distance.
    mutating func claimed(next: StreamID, didWork: Bool, now: NIODeadline) {
        answered()
        isClaiming = false
        // A cursor that does not go forward would lead round in circles.
        let next = next > claimCursor ? next : .zero
        claimCursor = next
        fruitlessSteps += 1
        let isExhausted = didWork && fruitlessSteps > Self.maxFruitlessSteps
        isFinding = didWork && next != .zero && !isExhausted
        readIsNext = isFinding
        let interval = configuration.effectiveClaimInterval ?? .zero
        let distance: Duration = next == .zero ? interval : min(interval, isExhausted ? Self.pauseOfWork : .seconds(1))
        nextClaim = now + TimeAmount(distance * pace)
        if now < claimsHeldUntil { holdOffClaims(until: claimsHeldUntil) }
    }

    /// Up to so many steps follow each other at once although nothing is served.
    private static let maxFruitlessSteps = 1000
    /// What is between those that come behind them.
    private static let pauseOfWork = Duration.milliseconds(10)

    /// How long to wait before the next step of a sweep, so that a server which always has one more page is not asked
    /// without a pause.
    var pauseBeforeRecovery: Duration? { fruitlessSteps > Self.maxFruitlessSteps ? Self.pauseOfWork : nil }

    /// A read has brought new messages, so many with so many bytes; or nothing, at once or after it had waited.
    mutating func readNew(_ messages: Int = 0, bytes: Int = 0, hasWaited: Bool = false) {
        answered()
        readIsNext = false
        size.received(messages, bytes: bytes)
        if messages > 0 || hasWaited { served() }
    }

    /// A read came back with nothing long before its time, although nobody had asked for that. Returns whether that
    /// happens again and again, so that it counts as a failure: such a server would be asked without a pause.
    mutating func readEndedEarly() -> Bool {
        answered()
        readIsNext = false
        earlyReads += 1
        return earlyReads > 1
    }

    /// There may be messages pending for this consumer that it does not know of.
    mutating func recover() {
        guard configuration.acknowledgement.usesPendingList, configuration.safeguards.contains(.recovery) else { return }
        phase = .recovering(after: .zero)
    }

    private mutating func answered() {
        hasEverServed = true
        isAnswered = true
    }

    /// Messages have come, or there was nothing to come.
    mutating func served() {
        failures = 0
        lostReplies = 0
        earlyReads = 0
        takenCreations = 0
        fruitlessSteps = 0
    }

    // MARK: What went wrong

    /// The server does not serve, for now. A command that timed out does not tell for how long that has been so.
    mutating func interrupted(by error: RedisError, now: NIODeadline) {
        interruptedSince = interruptedSince ?? (error.code == .timeout ? .uptimeNanoseconds(0) : now)
    }

    /// A step failed, or connecting did.
    ///
    /// - Parameter waits: Whether a server that was never reached is waited for.
    mutating func failed(_ error: RedisError, waits: Bool = false) -> FailureReaction {
        isClaiming = false
        isAnswered = false
        switch error.code {
        case .groupExists:
            // Another consumer was faster.
            createdGroup()
            takenCreations += 1
            return takenCreations <= 2 ? .proceed : .retry(error, attempt: takenCreations - 2)
        case .noGroup:
            // It was asked for again, and is not to be created.
            if needsGroup, hasEverServed, configuration.groupLoss == .fail { return .stop(error) }
            needsGroup = true
            failures += 1
            // A group that is taken away as fast as it is created must not become a storm.
            return failures == 1 ? .proceed : .retry(error, attempt: failures - 1)
        case .replyTooLarge:
            // The messages of that reply are pending for this consumer. They are read in smaller pieces, and what cannot
            // be read alone is told then.
            _ = size.tooLarge()
            recover()
            failures += 1
            return .retry(error, attempt: failures)
        case .connectionClosed, .timeout:
            // The server may have given messages to this consumer in a reply that never arrived. One that closes instead
            // of sending a reply that is too large for its limits would do so again.
            lostReplies += error.mayHaveExecuted ? 1 : 0
            if lostReplies > 1, size.connectionsEnded() { lostReplies = 0 }
            recover()
            failures += 1
            return .retry(error, attempt: failures)
        default:
            guard error.isRetriable else { return .stop(error) }
            if !hasEverServed, !waits, error.isUnreachable { return .stop(error) }
            // What has been read and could not be acknowledged was not handed out.
            if configuration.acknowledgement == .onDelivery { recover() }
            failures += 1
            return .retry(error, attempt: failures)
        }
    }
}
