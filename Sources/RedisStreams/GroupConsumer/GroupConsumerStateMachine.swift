internal import NIOCore

/// What a group consumer does next. Free of sockets and clocks: time comes in as a value.
///
/// - `recovering`: reads what is pending for this consumer already, page by page, from before a restart or a lost
///   connection. Goes to `consuming` after the last page.
/// - `consuming`: reads new messages; in between, as soon as it is due, claims what has been pending for too long, a
///   step of the sweep and a read in turn until the sweep has come round.
///
/// In both, a missing group is created first, which also forgets where the sweep was.
struct GroupConsumerStateMachine: ~Copyable {
    enum Step: Equatable {
        case createGroup(XGROUP.Start)
        case readPending(after: StreamID)
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
    private var hasEverServed = false
    /// How many messages to ask for at a time: less than configured once replies turned out to be too large.
    private(set) var count: Int
    private var failures = 0

    /// Where the sweep goes on; `nil` between sweeps.
    private var claimCursor: StreamID?
    private var nextSweep: NIODeadline
    /// Whether the last step was one of a sweep, so that a read is next.
    private var readIsNext = false

    init(_ configuration: GroupConsumer.Configuration, now: NIODeadline) {
        self.configuration = configuration
        count = configuration.batchSize
        phase = configuration.acknowledgement.usesPendingList ? .recovering(after: .zero) : .consuming
        nextSweep = now
    }

    /// Decides on the next step.
    func next(now: NIODeadline) -> Step {
        if needsGroup { return .createGroup(hasEverServed ? .beginning : configuration.start) }
        if case .recovering(let id) = phase { return .readPending(after: id) }
        guard configuration.effectiveClaimInterval != nil else { return .readNew(block: configuration.block) }
        if let claimCursor {
            return readIsNext ? .readNew(block: nil) : .claim(from: claimCursor)
        }
        if nextSweep <= now { return .claim(from: .zero) }
        let untilSweep = Duration.nanoseconds((nextSweep - now).nanoseconds)
        return .readNew(block: max(.milliseconds(1), min(configuration.block, untilSweep)))
    }

    // MARK: What came of it

    mutating func createdGroup() {
        needsGroup = false
        claimCursor = nil
        readIsNext = false
    }

    /// A page of the own pending messages; `last` is the id of its last one.
    mutating func readPending(last: StreamID?) {
        served()
        if let last { phase = .recovering(after: last) } else { phase = .consuming }
    }

    /// A step of a sweep: `next` is where the server says it goes on, zero at the end.
    mutating func claimed(next: StreamID, now: NIODeadline) {
        served()
        readIsNext = true
        claimCursor = next == .zero ? nil : next
        guard claimCursor == nil, let interval = configuration.effectiveClaimInterval else { return }
        nextSweep = now + TimeAmount(interval)
        readIsNext = false
    }

    mutating func readNew() {
        served()
        readIsNext = false
    }

    /// There may be messages pending for this consumer that it does not know of.
    mutating func recover() {
        if configuration.acknowledgement.usesPendingList { phase = .recovering(after: .zero) }
    }

    private mutating func served() {
        hasEverServed = true
        failures = 0
    }

    // MARK: What went wrong

    /// A step failed, or connecting did.
    mutating func failed(_ error: RedisError) -> FailureReaction {
        switch error.code {
        case .groupExists:
            // Another consumer was faster.
            createdGroup()
            return .proceed
        case .noGroup:
            needsGroup = true
            failures += 1
            // A group that is taken away as fast as it is created must not become a storm.
            return failures == 1 ? .proceed : .retry(error, attempt: failures - 1)
        case .replyTooLarge where count > 1:
            // The messages of that reply are pending for this consumer, and are read in smaller pieces.
            count /= 2
            recover()
            return .retry(error, attempt: 1)
        case .connectionClosed, .timeout:
            // The server may have given messages to this consumer in a reply that never arrived.
            recover()
            failures += 1
            return .retry(error, attempt: failures)
        default:
            guard error.isRetriable else { return .stop(error) }
            if !hasEverServed, error.isUnreachable { return .stop(error) }
            failures += 1
            return .retry(error, attempt: failures)
        }
    }
}
