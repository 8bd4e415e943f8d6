internal import DequeModule

/// Who has which connection, who waits for one, and when a lost one is tried again. Free of sockets, clocks and locks.
///
/// There are two kinds of connections. A few *shared* ones, each in a slot, take the commands of everybody. *Leases*
/// have one user at a time; whoever takes one makes the connection itself, unless an idle one is left.
///
/// The states of a slot and their successors:
/// - `empty` → `connecting`, as soon as somebody needs it.
/// - `connecting` → `ready`, or `backingOff` when it failed.
/// - `ready` → `empty`, when the connection has ended.
/// - `backingOff` → `connecting`, when its time is over.
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
        case closed
    }

    private var life: Life = .open
    private var slots: [Slot]
    /// Failed attempts since the last success, for each slot.
    private var failures: [Int]
    private var lastFailure: RedisError?
    private var sharedWaiters: Deque<WaiterID> = []
    private var nextSlot = 0

    private let maxLeases: Int
    private let maxIdle: Int
    private var leases = 0
    /// The connections of those leases that have one, numbered: they are closed in the order in which they were leased.
    private var leased: [ObjectIdentifier: (number: Int, connection: Connection, isRetired: Bool)] = [:]
    private var lastLease = 0
    private var idle: [Connection] = []
    private var leaseWaiters: Deque<WaiterID> = []

    /// Shared connections that nobody is given any more, and that have not ended yet.
    private var retiring: [Connection] = []

    init(sharedConnections: Int, maxLeases: Int, maxIdle: Int) {
        slots = Array(repeating: .empty, count: sharedConnections)
        failures = Array(repeating: 0, count: sharedConnections)
        self.maxLeases = maxLeases
        self.maxIdle = maxIdle
    }

    // MARK: Shared connections

    enum SharedAction {
        /// Use it, and connect these slots, whose connections were lost.
        case use(Connection, connect: [Int])
        /// Wait, and connect these slots.
        case wait(connect: [Int])
        case fail(RedisError)
    }

    /// A shared connection, if all of them are there: nothing else is to be done then.
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

    /// Somebody needs a shared connection.
    mutating func acquireShared(_ waiter: WaiterID) -> SharedAction {
        guard case .open = life else { return .fail(Self.shutDown) }
        if let connection = nextReady() { return .use(connection, connect: beginConnecting()) }
        sharedWaiters.append(waiter)
        return .wait(connect: beginConnecting())
    }

    /// Somebody will need a shared connection, and does not wait for it. Returns which slots are to be connected.
    mutating func prepareShared() -> [Int] {
        guard case .open = life else { return [] }
        return beginConnecting()
    }

    /// A connection that is ready: each in its turn.
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

    /// Slots that are empty begin to connect.
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

    /// The slot is connected. Everybody who waits gets it. Returns `nil` if the pool has been closed meanwhile: the
    /// connection is to be closed.
    mutating func connected(_ connection: Connection, slot: Int) -> [WaiterID]? {
        guard case .open = life else { return nil }
        slots[slot] = .ready(connection)
        failures[slot] = 0
        lastFailure = nil
        defer { sharedWaiters = [] }
        return Array(sharedWaiters)
    }

    struct FailureAction {
        /// Who is told of the failure now.
        var failed: [WaiterID] = []
        /// Which attempt to make next, after its delay.
        var retry: Int?
    }

    /// Connecting the slot failed. What may pass is tried again while somebody waits; what needs a change of the
    /// configuration is reported at once.
    mutating func connectFailed(_ error: RedisError, slot: Int) -> FailureAction {
        guard case .open = life else { return FailureAction() }
        failures[slot] += 1
        lastFailure = error
        var action = FailureAction()
        if !error.isRetriable {
            action.failed = Array(sharedWaiters)
            sharedWaiters = []
        }
        // Also with nobody waiting: it keeps the pace of those who come next.
        slots[slot] = .backingOff
        action.retry = failures[slot]
        return action
    }

    /// The delay of a slot is over. Says whether to connect it now.
    mutating func rested(slot: Int) -> Bool {
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

    /// Somebody needs a connection of their own.
    mutating func acquireLease(_ waiter: WaiterID, where isSuitable: (Connection) -> Bool) -> LeaseAction {
        guard case .open = life else { return .fail(Self.shutDown) }
        guard leases < maxLeases else {
            leaseWaiters.append(waiter)
            return .wait
        }
        leases += 1
        if let connection = takeIdle(where: isSuitable) { return .use(connection) }
        return .connect
    }

    /// A connection that was given back, for somebody who has a lease.
    mutating func takeIdle(where isSuitable: (Connection) -> Bool) -> Connection? {
        guard let position = idle.lastIndex(where: isSuitable) else { return nil }
        let connection = idle.remove(at: position)
        noteLeased(connection)
        return connection
    }

    /// Somebody with a lease has made a connection. Returns `false` if the pool has been closed meanwhile: the
    /// connection is to be closed.
    mutating func leaseConnected(_ connection: Connection) -> Bool {
        guard case .open = life else { return false }
        noteLeased(connection)
        return true
    }

    private mutating func noteLeased(_ connection: Connection) {
        lastLease += 1
        leased[ObjectIdentifier(connection)] = (lastLease, connection, false)
    }

    struct ReleaseAction {
        /// Who may make a connection now.
        var next: WaiterID?
        /// Connections that are not needed any more.
        var close: [Connection] = []
    }

    /// A lease ends; `connection` is what it had, if it came to that.
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

    /// A connection in the idle list has ended.
    mutating func lostIdle(_ connection: Connection) {
        idle.removeAll { $0 === connection }
    }

    // MARK: Another master

    struct RetireAction {
        /// Connections that nobody uses: they are closed.
        var idle: [Connection] = []
        /// Connections on which replies are to come: they end behind those.
        var inUse: [Connection] = []
    }

    /// Nobody is given one of the present connections any more; those who have one keep it until its replies have come.
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

    // MARK: Waiters and the end

    /// Somebody waits no longer. Returns whether they did wait.
    mutating func removeWaiter(_ waiter: WaiterID) -> Bool {
        let before = sharedWaiters.count + leaseWaiters.count
        sharedWaiters.removeAll { $0 == waiter }
        leaseWaiters.removeAll { $0 == waiter }
        return sharedWaiters.count + leaseWaiters.count < before
    }

    /// What to tell somebody whose deadline has passed.
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

    /// Ends everything. Returns who still waits, and the connections to close.
    mutating func close() -> (waiters: [WaiterID], connections: [Connection]) {
        guard case .open = life else { return ([], []) }
        life = .closed
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

    static var shutDown: RedisError {
        RedisError(.clientShutDown, "The client has been shut down.")
    }
}
