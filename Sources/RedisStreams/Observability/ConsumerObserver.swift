internal import Synchronization

/// How often what has happened to a consumer, since it was made.
public struct ConsumerCounters: Sendable, Hashable {
    /// Messages that were handed out, or lay ready to be.
    public var delivered = 0
    /// Messages that the server has acknowledged for this consumer.
    public var acknowledged = 0
    /// Messages that others or an earlier life of this consumer had left, and that were delivered again.
    public var redelivered = 0
    /// Messages that others took while they were held here.
    public var leasesLost = 0
    /// Handlers that have failed.
    public var failures = 0
    /// Messages that went to the stream of dead letters.
    public var deadLettered = 0
    /// Messages that were refused, and acknowledged without a dead letter.
    public var rejected = 0
    /// Entries that were deleted or trimmed while they were pending.
    public var deleted = 0
    /// Entries that were trimmed before they were read, as far as the server could tell how many.
    public var trimmedUnread = 0
    /// How often an entry could not be read.
    public var unreadable = 0
    /// How often a stream did not go on where it was.
    public var discontinuities = 0
    /// How often reading was interrupted by a failure.
    public var interruptions = 0
    /// Events that nobody has taken in time, and that made room for newer ones.
    public var eventsDropped = 0

    /// All zero.
    public init() {}
}

/// Takes notice of what happens to a consumer: its events and its counters.
final class ConsumerObserver: Sendable {
    /// The newest events that nobody has taken yet.
    let events: AsyncStream<ConsumerEvent>
    private let feed: AsyncStream<ConsumerEvent>.Continuation
    private let state = Mutex(ConsumerCounters())

    /// How many events wait for somebody who takes them.
    static let bufferedEvents = 256

    private let onEvent: (@Sendable (ConsumerEvent) -> Void)?
    let log: ConsumerLog

    init(onEvent: (@Sendable (ConsumerEvent) -> Void)? = nil, log: ConsumerLog = .none) {
        self.onEvent = onEvent
        self.log = log
        (events, feed) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(Self.bufferedEvents))
    }

    var counters: ConsumerCounters { state.withLock { $0 } }

    /// Counts something that is no event.
    func count(_ change: (inout ConsumerCounters) -> Void) {
        state.withLock { change(&$0) }
    }

    /// Publishes an event, counts it and logs it.
    ///
    /// - Parameter reason: What the log is to say beyond the event.
    func report(_ event: ConsumerEvent, because reason: String? = nil) {
        log.write(event, because: reason)
        state.withLock { $0.add(event) }
        if case .dropped = feed.yield(event) { state.withLock { $0.eventsDropped += 1 } }
        onEvent?(event)
    }
}

extension ConsumerCounters {
    fileprivate mutating func add(_ event: ConsumerEvent) {
        switch event {
        case .leaseLost(let ids): leasesLost += ids.count
        case .deadLettered: deadLettered += 1
        case .rejected: rejected += 1
        case .deleted(let ids): deleted += ids.count
        case .trimmedUnread(let count, _, _): trimmedUnread = (trimmedUnread + (count ?? 0).plausible).plausible
        case .discontinuity: discontinuities += 1
        case .interrupted: interruptions += 1
        case .unreadable: unreadable += 1
        // A failure is counted whatever comes of it.
        case .groupCreated, .claimed, .retrying, .reconnected, .ready: break
        case .consumersRemoved, .claimedEarly, .unsettled, .rightsMissing: break
        }
    }
}
