internal import Synchronization

/// How often each thing has happened to a consumer since it was created.
public struct ConsumerCounters: Sendable, Hashable {
    /// Messages that were delivered: handlers have them, or they wait for one.
    public var delivered = 0
    /// Messages that the server has acknowledged for this consumer.
    public var acknowledged = 0
    /// Messages that another consumer or an earlier life of this one had left, and that were delivered again.
    public var redelivered = 0
    /// Messages that another consumer claimed while this one held them.
    public var leasesLost = 0
    /// Handlers that have failed.
    public var failures = 0
    /// Messages that became dead letter entries.
    public var deadLettered = 0
    /// Messages that a handler rejected, and that were acknowledged without a dead letter entry.
    public var rejected = 0
    /// Entries that were deleted or trimmed while they were pending.
    public var deleted = 0
    /// Entries that were trimmed before they were read, as far as the server could say how many.
    public var trimmedUnread = 0
    /// How often an entry could not be read.
    public var unreadable = 0
    /// How often a stream did not go on where the consumer had read it.
    public var discontinuities = 0
    /// Messages that the consumer returned to the group, since they had waited for a handler for too long.
    public var returned = 0
    /// How often a failure interrupted reading.
    public var interruptions = 0
    /// Events that nobody read in time, and that made room for newer ones.
    public var eventsDropped = 0

    /// All zero.
    public init() {}
}

/// The first user of the hooks for delivery and settlement: it counts, publishes events and logs for one consumer, knows
/// what runs, and calls the same hooks of the client's other instruments.
///
/// A stream of events ends with the last run. The next run begins another one, and so does a second request for `events`: the
/// first request gets what has happened until then.
final class ConsumerObserver: Sendable {
    private typealias Events = (
        stream: AsyncStream<ConsumerEvent>, continuation: AsyncStream<ConsumerEvent>.Continuation
    )

    private struct State {
        var counters = ConsumerCounters()
        var events: Events
        var isFinished = false
        var isAsked = false
        var runCount = 0
        /// What each run is at work on; `nil` for a run that is gone.
        var snapshots: [Int: @Sendable () -> ConsumerSnapshot?] = [:]
        var lastSnapshot = 0

        mutating func renewIfFinished() {
            guard isFinished else { return }
            events = ConsumerObserver.makeEvents()
            isFinished = false
            isAsked = false
        }
    }

    private let state: Mutex<State>

    /// How many events wait to be read.
    static let bufferedEvents = 256

    private let onEvent: (@Sendable (ConsumerEvent) -> Void)?
    let log: ConsumerLog
    /// Who else listens.
    let instruments: Instruments

    init(
        onEvent: (@Sendable (ConsumerEvent) -> Void)? = nil,
        log: ConsumerLog = .none,
        instruments: Instruments = Instruments()
    ) {
        self.instruments = instruments
        self.onEvent = onEvent
        self.log = log
        state = Mutex(State(events: Self.makeEvents()))
    }

    deinit {
        state.withLock { $0.events.continuation }.finish()
    }

    private static func makeEvents() -> Events {
        AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(bufferedEvents))
    }

    /// The newest events that nobody has read yet, until the run ends.
    var events: AsyncStream<ConsumerEvent> {
        state.withLock { state in
            if state.isAsked { state.renewIfFinished() }
            state.isAsked = true
            return state.events.stream
        }
    }

    /// A run begins; `snapshot` describes it until it returns `nil`.
    func beginRun(_ snapshot: @escaping @Sendable () -> ConsumerSnapshot? = { nil }) {
        let others = state.withLock { state in
            defer {
                state.lastSnapshot += 1
                state.snapshots[state.lastSnapshot] = snapshot
            }
            state.renewIfFinished()
            state.runCount += 1
            return state.snapshots
        }
        let gone = others.filter { $0.value() == nil }.keys
        state.withLock { state in for number in gone { state.snapshots[number] = nil } }
    }

    /// A run has ended, and reports nothing more.
    func endRun() {
        let finished = state.withLock { state -> AsyncStream<ConsumerEvent>.Continuation? in
            state.runCount -= 1
            guard state.runCount == 0 else { return nil }
            state.isFinished = true
            return state.events.continuation
        }
        finished?.finish()
    }

    func snapshot() -> ConsumerSnapshot {
        state.withLock(\.snapshots).values.compactMap { $0() }.reduce(into: ConsumerSnapshot()) { $0 += $1 }
    }

    var counters: ConsumerCounters { state.withLock { $0.counters } }

    /// Counts what no event is published for.
    func count(_ change: (inout ConsumerCounters) -> Void) {
        state.withLock { change(&$0.counters) }
    }

    /// Publishes an event, counts it, logs it, and calls the hook that is named for it.
    ///
    /// - Parameter reason: What the log is to say beyond the event.
    func report(_ event: ConsumerEvent, because reason: String? = nil) {
        log.write(event, because: reason)
        let continuation = state.withLock { state in
            state.counters.add(event)
            return state.events.continuation
        }
        if case .dropped = continuation.yield(event) { state.withLock { $0.counters.eventsDropped += 1 } }
        event.report(to: instruments, because: reason)
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
        case .groupCreated, .claimed, .retrying, .reconnected, .ready, .handlerRunsLong: break
        case .consumersRemoved, .claimedEarly, .unsettled, .rightsMissing: break
        }
    }
}
