import RedisStreams

/// A process in a simulation with a client of its own.
///
// SAFETY: there is one thread.
final class Node: @unchecked Sendable {
    let name: String
    let process: SimulatedProcess
    /// Whether it has been killed: its effects count no more, and nothing of it reaches anybody.
    private(set) var isAlive = true
    /// Whether its main task has come to its end.
    private(set) var hasEnded = false
    var delayUntil = VirtualTime.zero
    var isPartitioned = false
    /// Its main task.
    var task: Task<Void, Never>?
    /// How to ask it to end, once it listens.
    var onShutdown: (() -> Void)? {
        didSet { if isAskedToEnd { onShutdown?() } }
    }
    private var isAskedToEnd = false
    /// When it was asked to end.
    private(set) var askedToEndAt: VirtualTime?
    /// Whether it was asked to end, in whatever way.
    var isEnding = false
    /// What its consumer is at work on.
    var snapshot: (() -> ConsumerSnapshot)?
    /// Until when something may have kept it from renewing its leases.
    var hinderedUntil = VirtualTime.zero

    var identity: ObjectIdentifier { ObjectIdentifier(self) }

    init(name: String, process: SimulatedProcess) {
        self.name = name
        self.process = process
    }

    func die() {
        isAlive = false
        isEnding = true
    }

    /// Asks it to end, as SIGTERM does.
    func shutDown() {
        isEnding = true
        isAskedToEnd = true
        askedToEndAt = process.scheduler.now
        onShutdown?()
    }

    func ended() {
        hasEnded = true
    }
}
