internal import NIOCore
internal import Synchronization

/// The timer of the rounds in which a consumer renews leases, and does its other periodic work. A consumer that only
/// waits for messages has no timer.
actor Upkeep: EventLoopActor {
    nonisolated let eventLoop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe eventLoop.executor.asUnownedSerialExecutor() }

    /// What to do after a round.
    enum Next: Sendable {
        case stop
        case goOn
        /// There was no connection for a renewal; there may be one soon.
        case retrySoon
    }

    /// The time between two rounds without leases.
    private static let usualInterval = Duration.seconds(10)

    nonisolated let interval: TimeAmount
    private let round: @Sendable () -> Next
    private var isRunning = false
    private var timer: Scheduled<Void>?
    /// Whether the timer runs: to ask the actor allocates, and this is asked for each batch.
    private nonisolated let isArmed = Atomic(false)

    /// - Parameter round: Called on the event loop.
    init(
        _ configuration: GroupConsumer.Configuration,
        on eventLoop: any EventLoop,
        _ round: @escaping @Sendable () -> Next
    ) {
        self.eventLoop = eventLoop
        self.round = round
        interval = Self.interval(configuration)
    }

    /// A third of the lease, and five seconds at most: consumers with shorter leases may be in the group, and would
    /// claim messages whose leases are renewed less often.
    static func interval(_ configuration: GroupConsumer.Configuration) -> TimeAmount {
        TimeAmount(
            configuration.lease.map { max(.milliseconds(5), min($0 / 3, configuration.renewalInterval)) }
                ?? usualInterval
        )
    }

    func begin() {
        isRunning = true
        arm(in: interval)
    }

    func end() {
        isRunning = false
        timer?.cancel()
        timer = nil
    }

    /// Starts the timer if it does not run: there is periodic work to do.
    nonisolated func start() {
        if !isArmed.load(ordering: .relaxed) { assumeIsolated { $0.arm(in: $0.interval) } }
    }

    private func arm(in time: TimeAmount) {
        guard isRunning, timer == nil else { return }
        isArmed.store(true, ordering: .relaxed)
        timer = eventLoop.scheduleTask(in: time) { self.assumeIsolated { $0.runRound() } }
    }

    private func runRound() {
        timer = nil
        isArmed.store(false, ordering: .relaxed)
        switch round() {
        case .stop: break
        case .goOn: arm(in: interval)
        case .retrySoon: arm(in: .nanoseconds(max(1_000_000, interval.nanoseconds / 8)))
        }
    }
}
