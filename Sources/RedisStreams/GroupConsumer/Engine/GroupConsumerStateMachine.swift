internal import NIOCore

/// What a group consumer does next. Free of sockets and clocks: time comes in as a value.
///
/// - `sweeping`: looks through what is pending for this consumer already, page by page, from before a restart or a lost
///   connection. Goes to `consuming` after the last page.
/// - `consuming`: reads new messages. As soon as it is due, a step of the search for what has been pending for too long goes
///   before a read, in the same write; while that finds something, the next step follows the next read.
///
/// In both, a missing group is created first, which also forgets where the search was; and *suspects*, messages that
/// somebody may have died of, are taken before anything else is read, when nothing else is held: one by one, or together
/// if they are many and it was one death.
struct GroupConsumerStateMachine: ~Copyable {
    /// A message that somebody may have died of, and how many.
    struct Suspect: Equatable {
        let id: StreamID
        var deaths = 1
    }

    enum Step: Equatable {
        /// `isLost` says that the group was there before.
        case createGroup(isLost: Bool)
        case sweep(after: StreamID)
        case takeSuspects([StreamID])
        case claim(from: StreamID)
        /// `block` is `nil` for a read that returns at once.
        case readNew(block: Duration?)
    }

    private enum Phase {
        case sweeping(after: StreamID)
        case consuming
    }

    private let configuration: GroupConsumer.Configuration
    private var phase: Phase
    private var needsGroup = false
    /// Those with the fewest deaths first: one that kills whoever takes it is in nobody's way.
    private var suspects: [Suspect] = []
    /// Whether the group was there, and so is known to be lost if it is missing.
    private var hasEverServed = false
    /// Whether the own pending list was looked through to the end: what turns up there later was delivered since.
    private(set) var hasSwept = false
    private var size: BatchSize
    private var failures = 0
    /// What the times between the steps of a sweep are multiplied with.
    private let pace: Double

    /// Where the sweep goes on; zero between sweeps.
    private var claimCursor = StreamID.zero
    private var nextClaim: NIODeadline
    /// Whether the last step of the sweep has found something, so that the next one follows the next read.
    private var isFinding = false
    /// Whether the last step was one of a sweep, so that a read is next.
    private var readIsNext = false
    /// Whether a step of a sweep is on its way.
    private var isClaiming = false

    /// - Parameter jitter: From 0 to 1: consumers that started together shall not look together for ever.
    init(_ configuration: GroupConsumer.Configuration, now: NIODeadline, jitter: Double = 0) {
        self.configuration = configuration
        size = configuration.size
        phase = configuration.acknowledgement.usesPendingList ? .sweeping(after: .zero) : .consuming
        nextClaim = now
        pace = 1 - 0.25 * jitter
    }

    /// Decides on the next step.
    func next(now: NIODeadline) -> Step {
        if needsGroup { return .createGroup(isLost: hasEverServed) }
        if !suspects.isEmpty { return .takeSuspects(nextSuspects) }
        if case .sweeping(let id) = phase { return .sweep(after: id) }
        guard let interval = configuration.effectiveClaimInterval else { return .readNew(block: configuration.block) }
        // Behind a step of a sweep: where the last one found nothing, this one most likely finds nothing either.
        if isClaiming { return .readNew(block: isFinding ? nil : bounded(interval)) }
        if isFinding { return readIsNext ? .readNew(block: nil) : .claim(from: claimCursor) }
        if nextClaim <= now { return .claim(from: claimCursor) }
        return .readNew(block: bounded(.nanoseconds((nextClaim - now).nanoseconds)))
    }

    /// Up to so many suspects are taken one by one.
    private static let fewSuspects = 10

    /// Whoever dies has many messages that wait, of which one is to blame at most. To handle each of them alone could take
    /// minutes, in which nothing else is read. So what one has died of is handled together first, if it is much: a killer
    /// among them is alone the next time, and so is each of its neighbours.
    private var nextSuspects: [StreamID] {
        let first = suspects.prefix { $0.deaths <= 1 }
        // They must bear to be there when the killer strikes once more.
        let bears = (configuration.deadLetter?.maxCrashes ?? .max) > 2
        return suspects.prefix(bears && first.count > Self.fewSuspects ? min(first.count, claimCount) : 1).map(\.id)
    }

    /// How many messages to ask for.
    var count: Int { size.count }

    /// How many messages to claim at a time: the server looks at ten times as many, while everybody else waits.
    var claimCount: Int { min(count, 100) }

    private func bounded(_ time: Duration) -> Duration {
        max(.milliseconds(1), min(configuration.block, time))
    }

    /// Messages were given back, for others to have them: this consumer claims nothing before that.
    mutating func holdOffClaims(until time: NIODeadline) {
        isFinding = false
        nextClaim = max(nextClaim, time)
    }

    /// A step of a sweep is on its way: the next read goes with it.
    mutating func claimSent() {
        isClaiming = true
    }

    // MARK: What came of it

    mutating func createdGroup() {
        needsGroup = false
        suspects = []
        claimCursor = .zero
        isFinding = false
        readIsNext = false
        isClaiming = false
    }

    /// A page of the own pending list was looked through; `last` is the last id of it, `nil` behind the end.
    mutating func swept(last: StreamID?) {
        served()
        if let last { return phase = .sweeping(after: last) }
        phase = .consuming
        hasSwept = true
    }

    /// Messages turned up that somebody may have died of. Known ones count once.
    mutating func suspect(_ found: [Suspect]) {
        let known = Set(suspects.map(\.id))
        for suspect in found where !known.contains(suspect.id) {
            let position = suspects.firstIndex { $0.deaths > suspect.deaths } ?? suspects.endIndex
            suspects.insert(suspect, at: position)
        }
    }

    /// Suspects were taken, or were not this consumer's any more.
    mutating func tookSuspects(_ ids: [StreamID]) {
        served()
        forgetSuspects(ids)
    }

    /// Suspects that are not this consumer's any more.
    mutating func forgetSuspects(_ ids: [StreamID]) {
        if suspects.isEmpty { return }
        let ids = Set(ids)
        suspects.removeAll { ids.contains($0.id) }
    }

    /// All that still wait, which are forgotten.
    mutating func takeSuspects() -> [StreamID] {
        defer { suspects = [] }
        return suspects.map(\.id)
    }

    /// A step of a sweep: `next` is where the server says it goes on, zero at the end.
    ///
    /// While there is something to take over, step follows step, with reads in between. What others are at work on costs
    /// the server time to look through: then the steps keep a distance.
    mutating func claimed(next: StreamID, isEmpty: Bool, now: NIODeadline) {
        served()
        isClaiming = false
        claimCursor = next
        isFinding = !isEmpty && next != .zero
        readIsNext = isFinding
        let interval = configuration.effectiveClaimInterval ?? .zero
        nextClaim = now + TimeAmount((next == .zero ? interval : min(interval, .seconds(1))) * pace)
    }

    /// New messages, so many with so many bytes.
    mutating func readNew(_ messages: Int = 0, bytes: Int = 0) {
        served()
        readIsNext = false
        size.received(messages, bytes: bytes)
    }

    /// There may be messages pending for this consumer that it does not know of.
    mutating func recover() {
        guard configuration.acknowledgement.usesPendingList, configuration.safeguards.contains(.sweep) else { return }
        phase = .sweeping(after: .zero)
    }

    private mutating func served() {
        hasEverServed = true
        failures = 0
    }

    // MARK: What went wrong

    /// A step failed, or connecting did.
    mutating func failed(_ error: RedisError) -> FailureReaction {
        isClaiming = false
        switch error.code {
        case .groupExists:
            // Another consumer was faster.
            createdGroup()
            return .proceed
        case .noGroup:
            // It was asked for again, and is not to be created.
            if needsGroup, hasEverServed, configuration.groupLoss == .fail { return .stop(error) }
            needsGroup = true
            failures += 1
            // A group that is taken away as fast as it is created must not become a storm.
            return failures == 1 ? .proceed : .retry(error, attempt: failures - 1)
        case .replyTooLarge where size.tooLarge():
            // The messages of that reply are pending for this consumer, and are read in smaller pieces.
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
            // What has been read and could not be acknowledged was not handed out.
            if configuration.acknowledgement == .onDelivery { recover() }
            failures += 1
            return .retry(error, attempt: failures)
        }
    }
}
