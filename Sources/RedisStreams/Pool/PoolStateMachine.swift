internal import DequeModule

/// Decides which caller gets which connection, who waits for one, and when a lost one is made again. Free of sockets, clocks
/// and locks: `ConnectionPool` performs what it says.
///
/// There are two kinds of connections. A few *shared* ones, each in a slot, carry the commands of all callers. A *leased* one
/// has one caller at a time, which makes it itself unless an idle one is left.
///
/// The states of a slot and their successors:
///
/// | state | what it means | entered by | successors |
/// |---|---|---|---|
/// | `empty` | There is no connection, and nobody needs one. | `init`, `lost`, `backoffEnded`, `retireAll`, `endAll`, `close` | `connecting` |
/// | `connecting` | The owner makes a connection. | `acquireShared`, `prepareShared`, `backoffEnded` | `ready`, `backingOff`, `empty` |
/// | `ready` | Callers get the connection. | `connected` | `empty` |
/// | `backingOff` | An attempt failed, and the delay of the next one runs. | `connectFailed` | `connecting`, `empty` |
///
/// The states of a lease and their successors:
///
/// | state | what it means | entered by | successors |
/// |---|---|---|---|
/// | waiting | All leases are taken, and the caller waits for one. | `acquireLease` | connecting, or none: the caller gave up |
/// | connecting | The caller has a lease and makes its connection. | `acquireLease`, `releaseLease` of another | in use, or none: it failed |
/// | in use | The caller has a connection. | `acquireLease`, `takeIdle`, `leaseConnected` | idle, or none: it is closed |
/// | idle | The pool keeps the connection for the next caller. | `releaseLease` | in use, or none: it ended |
///
/// The pool itself is `open`, then `closed` by `close`: it gives nothing out any more, and all events are ignored.
struct PoolStateMachine<Connection: AnyObject & Sendable>: ~Copyable {
    typealias WaiterID = Int

    private enum Slot {
        case empty
        case connecting
        case ready(Connection)
        case backingOff

        var isEmpty: Bool {
            if case .empty = self { true } else { false }
        }
    }

    private enum Life {
        case open
        case closed(RedisError)
    }

    private var life: Life = .open
    private var slots: [Slot]
    /// How many attempts have failed since the last success, for each slot.
    private var failures: [Int]
    private var lastFailure: RedisError?
    private var sharedWaiters: Deque<WaiterID> = []
    private var nextSlot = 0

    /// Whether a caller waits while the owner tries to connect again.
    private let triesAgain: Bool
    private let maxLeases: Int
    private let maxIdle: Int
    private var leases = 0
    /// The connections in use, numbered: the pool closes them in the order in which they were leased.
    private var leased: [ObjectIdentifier: (number: Int, connection: Connection, isRetired: Bool)] = [:]
    private var lastLease = 0
    private var idle: [Connection] = []
    private var leaseWaiters: Deque<WaiterID> = []

    /// Shared connections that were replaced, and have not ended yet.
    private var retiring: [Connection] = []

    init(sharedConnections: Int, maxLeases: Int, maxIdle: Int, triesAgain: Bool = true) {
        self.triesAgain = triesAgain
        slots = Array(repeating: .empty, count: sharedConnections)
        failures = Array(repeating: 0, count: sharedConnections)
        self.maxLeases = maxLeases
        self.maxIdle = maxIdle
    }

    // MARK: Shared connections

    enum SharedAction {
        /// Use this connection, and connect these slots, whose connections were lost.
        case use(Connection, connect: [Int])
        /// Wait, and connect these slots.
        case wait(connect: [Int])
        case fail(RedisError)
    }

    /// A shared connection, if all of them are there; else the caller has slots to connect, and asks `acquireShared`.
    mutating func readyShared() -> Connection? {
        guard case .open = life, !slots.contains(where: { $0.isEmpty }) else { return nil }
        return nextReady()
    }

    /// Whether there is a shared connection.
    var hasReady: Bool {
        slots.contains { if case .ready = $0 { true } else { false } }
    }

    /// Whether it is one of the shared connections.
    func isShared(_ connection: Connection) -> Bool {
        slots.contains { slot in
            if case .ready(let ready) = slot { ready === connection } else { false }
        }
    }

    /// A caller needs a shared connection.
    mutating func acquireShared(_ waiter: WaiterID) -> SharedAction {
        guard case .open = life else { return .fail(closeReason) }
        if let connection = nextReady() { return .use(connection, connect: beginConnecting()) }
        if !triesAgain, let lastFailure, isBackingOff { return .fail(lastFailure) }
        sharedWaiters.append(waiter)
        return .wait(connect: beginConnecting())
    }

    /// A caller will need a shared connection later. Returns the slots to connect.
    mutating func prepareShared() -> [Int] {
        guard case .open = life else { return [] }
        return beginConnecting()
    }

    /// Whether each slot waits until it may be tried again.
    private var isBackingOff: Bool {
        slots.allSatisfy { if case .backingOff = $0 { true } else { false } }
    }

    /// The next connection that is ready, each in its turn.
    private mutating func nextReady() -> Connection? {
        for offset in slots.indices {
            let index = (nextSlot + offset) % slots.count
            if case .ready(let connection) = slots[index] {
                nextSlot = (index + 1) % slots.count
                return connection
            }
        }
        return nil
    }

    /// Moves the empty slots to `connecting`, and returns them.
    private mutating func beginConnecting() -> [Int] {
        var begun: [Int] = []
        for index in slots.indices {
            if case .empty = slots[index] {
                slots[index] = .connecting
                begun.append(index)
            }
        }
        return begun
    }

    /// A slot is connected. Returns the callers that wait, which get the connection; `nil` if the pool has been closed
    /// meanwhile, and the owner closes the connection.
    mutating func connected(_ connection: Connection, slot: Int) -> [WaiterID]? {
        guard case .open = life else { return nil }
        slots[slot] = .ready(connection)
        failures[slot] = 0
        lastFailure = nil
        defer { sharedWaiters = [] }
        return Array(sharedWaiters)
    }

    struct FailureAction {
        /// The callers that get the error now.
        var failed: [WaiterID] = []
        /// The number of the next attempt, which the owner makes after its delay.
        var retry: Int?
    }

    /// An attempt to connect a slot failed. If the error may pass, callers go on waiting; if it needs a change of the
    /// configuration, they get it at once.
    mutating func connectFailed(_ error: RedisError, slot: Int) -> FailureAction {
        guard case .open = life else { return FailureAction() }
        failures[slot] += 1
        lastFailure = error
        var action = FailureAction()
        if !error.isRetriable || !triesAgain {
            action.failed = Array(sharedWaiters)
            sharedWaiters = []
        }
        // Also if no caller waits: later ones must not try sooner.
        slots[slot] = .backingOff
        action.retry = failures[slot]
        return action
    }

    /// The delay of a slot is over. Returns whether the owner connects it now: only if a caller waits.
    mutating func backoffEnded(slot: Int) -> Bool {
        guard case .open = life, case .backingOff = slots[slot] else { return false }
        guard !sharedWaiters.isEmpty else {
            slots[slot] = .empty
            return false
        }
        slots[slot] = .connecting
        return true
    }

    /// A shared connection has ended.
    mutating func lost(_ connection: Connection, slot: Int) {
        if case .ready(let current) = slots[slot], current === connection { slots[slot] = .empty }
        retiring.removeAll { $0 === connection }
    }

    // MARK: Leases

    enum LeaseAction {
        case use(Connection)
        case connect
        case wait
        case fail(RedisError)
    }

    /// A caller needs a connection of its own.
    mutating func acquireLease(_ waiter: WaiterID, where isSuitable: (Connection) -> Bool) -> LeaseAction {
        guard case .open = life else { return .fail(closeReason) }
        guard leases < maxLeases else {
            leaseWaiters.append(waiter)
            return .wait
        }
        leases += 1
        if let connection = takeIdle(where: isSuitable) { return .use(connection) }
        return .connect
    }

    /// An idle connection, for a caller that has a lease.
    mutating func takeIdle(where isSuitable: (Connection) -> Bool) -> Connection? {
        guard let position = idle.lastIndex(where: isSuitable) else { return nil }
        let connection = idle.remove(at: position)
        recordLease(connection)
        return connection
    }

    /// A caller with a lease has made a connection. Returns `false` if the pool has been closed meanwhile, and the owner
    /// closes the connection.
    mutating func leaseConnected(_ connection: Connection) -> Bool {
        guard case .open = life else { return false }
        recordLease(connection)
        return true
    }

    private mutating func recordLease(_ connection: Connection) {
        lastLease += 1
        leased[ObjectIdentifier(connection)] = (lastLease, connection, false)
    }

    struct ReleaseAction {
        /// The caller that gets a lease now.
        var next: WaiterID?
        /// Connections to close.
        var close: [Connection] = []
    }

    /// A lease ends. `connection` is `nil` if the caller could make none.
    mutating func releaseLease(_ connection: Connection?, isReusable: Bool) -> ReleaseAction {
        leases -= 1
        let isRetired = connection.flatMap { leased.removeValue(forKey: ObjectIdentifier($0)) }?.isRetired ?? false
        var action = ReleaseAction()
        if let connection, isReusable {
            if case .open = life, idle.count < maxIdle, !isRetired {
                idle.append(connection)
            } else {
                action.close.append(connection)
            }
        }
        if case .open = life, let next = leaseWaiters.popFirst() {
            leases += 1
            action.next = next
        }
        return action
    }

    /// An idle connection has ended.
    mutating func lostIdle(_ connection: Connection) {
        idle.removeAll { $0 === connection }
    }

    // MARK: Retiring

    struct RetireAction {
        /// Connections that no caller uses: the owner closes them.
        var idle: [Connection] = []
        /// Connections on which replies may be to come: they end behind those.
        var inUse: [Connection] = []
    }

    /// No caller gets one of the present connections any more; those that have one keep it until its replies have come.
    mutating func retireAll() -> RetireAction {
        guard case .open = life else { return RetireAction() }
        var action = RetireAction(idle: idle)
        idle = []
        for index in slots.indices {
            guard case .ready(let connection) = slots[index] else { continue }
            action.inUse.append(connection)
            slots[index] = .empty
        }
        retiring += action.inUse
        for lease in leased.values.sorted(by: { $0.number < $1.number }) where !lease.isRetired {
            action.inUse.append(lease.connection)
            leased[ObjectIdentifier(lease.connection)]?.isRetired = true
        }
        return action
    }

    /// No caller gets one of the present connections any more. Returns all of them: the owner ends them at once.
    mutating func endAll() -> [Connection] {
        let inUse = retireAll()
        let retired = leased.values.filter { lease in !inUse.inUse.contains { $0 === lease.connection } }
        let before = retiring.filter { connection in !inUse.inUse.contains { $0 === connection } }
        return inUse.idle + inUse.inUse + retired.sorted { $0.number < $1.number }.map(\.connection) + before
    }

    // MARK: Waiters and the end

    /// A caller gives up waiting. Returns whether it did wait.
    mutating func removeWaiter(_ waiter: WaiterID) -> Bool {
        let before = sharedWaiters.count + leaseWaiters.count
        sharedWaiters.removeAll { $0 == waiter }
        leaseWaiters.removeAll { $0 == waiter }
        return sharedWaiters.count + leaseWaiters.count < before
    }

    /// The error of a caller whose deadline has passed.
    func expired(_ waiter: WaiterID, isRunning: Bool) -> RedisError {
        if leaseWaiters.contains(waiter) {
            return RedisError(
                .connectionUnavailable,
                "All \(maxLeases) connections for blocking commands are in use. Raise maxLeasedConnections."
            )
        }
        if !isRunning {
            return BackgroundTasks.notRunning
        }
        return lastFailure
            ?? RedisError(.connectionUnavailable, "No connection could be made before the deadline.")
    }

    /// Closes the pool. Returns the callers that wait, which get an error, and the connections to close.
    ///
    /// - Parameter reason: What callers get from now on.
    mutating func close(
        because reason: RedisError = Self.shutDown
    ) -> (waiters: [WaiterID], connections: [Connection]) {
        guard case .open = life else { return ([], []) }
        life = .closed(reason)
        var connections = idle + leased.values.sorted { $0.number < $1.number }.map(\.connection)
        for case .ready(let connection) in slots { connections.append(connection) }
        connections += retiring
        let waiters = Array(sharedWaiters) + Array(leaseWaiters)
        slots = slots.map { _ in .empty }
        sharedWaiters = []
        leaseWaiters = []
        idle = []
        leased = [:]
        retiring = []
        return (waiters, connections)
    }

    /// Why the pool gives out nothing any more.
    var closeReason: RedisError {
        if case .closed(let reason) = life { reason } else { Self.shutDown }
    }

    /// Whether a caller has a lease.
    var isLeased: Bool { leases > 0 }

    static var shutDown: RedisError {
        RedisError(.clientShutDown, "The client has been shut down.")
    }
}
