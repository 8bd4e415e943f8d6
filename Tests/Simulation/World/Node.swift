import RedisStreams

/// A process in a simulation with a client of its own.
///
// SAFETY: there is one thread.
final class Node: @unchecked Sendable {
    let name: String
    let process: SimulatedProcess
    /// Whether it lives. What the tasks of a killed process still do reaches no server and does not count.
    private(set) var isAlive = true
    /// Whether its main task has ended.
    private(set) var hasEnded = false
    var delayUntil = VirtualTime.zero
    var isPartitioned = false
    /// Its main task.
    var task: Task<Void, Never>?
    /// Triggers its graceful shutdown. Called at once if it was asked to end before its services run.
    var onShutdown: (() -> Void)? {
        didSet { if isAskedToEnd { onShutdown?() } }
    }
    private var isAskedToEnd = false
    /// When it was asked to end.
    private(set) var askedToEndAt: VirtualTime?
    /// Whether it was killed, cancelled or asked to end.
    var isEnding = false
    /// What its consumer handles and buffers.
    var snapshot: (() -> ConsumerSnapshot)?
    /// Until when a fault may keep it from renewing its leases.
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
