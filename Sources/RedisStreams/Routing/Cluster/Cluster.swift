internal import Logging
internal import NIOCore
internal import Synchronization

/// The nodes of a cluster, and the map that says which of them serves which slot.
///
/// Performs what `ClusterStateMachine` decides: a background task asks for maps, and each redirection that any connection
/// receives corrects the map at once.
final class Cluster: Sendable {
    /// Makes the node of an endpoint.
    typealias MakeNode = @Sendable (Endpoint, NodeRole, ConnectionPool.Observer?) -> Node

    /// How the connections of a node send commands.
    enum NodeRole: Hashable, Sendable {
        /// As to any server.
        case usual
        /// Behind `ASKING`, since the slot of the keys is still being moved to it.
        case asking
    }

    private struct NodeKey: Hashable {
        let address: ServerAddress
        let role: NodeRole
    }

    private struct State: ~Copyable {
        var machine: ClusterStateMachine
        var nodes: [NodeKey: Node] = [:]
        /// Callers that wait for a change of the map.
        var sleepers: [Int: Sleeper] = [:]
        var lastSleeper = 0
        var isClosed = false
        var isRunning = false
    }

    let settings: ClusterSettings
    let eventLoops: EventLoops
    private let background: BackgroundTasks
    private let logger: Logger
    private let makeNode: MakeNode
    private let state: Mutex<State>
    /// Wakes the task that asks for maps.
    private let asker = Signal()

    init(
        seeds: [ServerAddress],
        settings: ClusterSettings,
        eventLoops: EventLoops,
        background: BackgroundTasks,
        logger: Logger,
        makeNode: @escaping MakeNode
    ) {
        self.settings = settings
        self.eventLoops = eventLoops
        self.background = background
        self.logger = logger
        self.makeNode = makeNode
        state = Mutex(State(machine: ClusterStateMachine(seeds: seeds)))
    }

    var now: NIODeadline { eventLoops.timers.now }

    // MARK: Nodes

    /// The node that serves a slot now; `nil` if none is known: then the cluster is asked for a map.
    func owner(of slot: Int?) -> Node? {
        let address = state.withLock { state in
            slot.map { state.machine.owner(of: $0) } ?? state.machine.anyMaster(random: settings.randomness())
        }
        guard let address else {
            needsMap()
            return nil
        }
        return node(at: address)
    }

    func node(at address: ServerAddress, _ role: NodeRole = .usual) -> Node {
        state.withLock { state in
            let key = NodeKey(address: address, role: role)
            if let node = state.nodes[key] { return node }
            let node = makeNode(Endpoint(address: address), role, observer(of: address))
            if state.isClosed { node.pool.close() } else { state.nodes[key] = node }
            return node
        }
    }

    private func observer(of address: ServerAddress) -> ConnectionPool.Observer {
        .init(
            onNotMaster: { [weak self] _ in self?.needsMap() },
            onRedirection: { [weak self] redirection in self?.redirected(redirection, by: address) },
            onLoss: { [weak self] _ in self?.needsMap() }
        )
    }

    /// The addresses of all nodes that the client has connections to, or had lately.
    var addresses: Set<ServerAddress> { state.withLock { Set($0.nodes.keys.map(\.address)) } }

    /// Whether there is a connection to one of the nodes.
    var hasReadyShared: Bool {
        let nodes = state.withLock { Array($0.nodes.values) }
        return nodes.contains { $0.pool.hasReadyShared }
    }

    /// A shared connection to the server that gave `connection` its id.
    func readyShared(toServerOf connection: RedisConnection) -> RedisConnection? {
        let address = connection.configuration.address
        let nodes = state.withLock { state in
            [NodeRole.usual, .asking].compactMap { state.nodes[NodeKey(address: address, role: $0)] }
        }
        return nodes.lazy.compactMap { $0.readyShared(toServerOf: connection) }.first
    }

    // MARK: What nodes say

    private func redirected(_ redirection: Redirection, by address: ServerAddress) {
        guard redirection.kind == .moved else { return }
        guard let target = redirection.address(from: address) else { return needsMap() }
        if target == address {
            // The name leads to another node by now.
            node(at: address).pool.retireConnections()
            return needsMap()
        }
        let isNews = state.withLock { state in
            let isNews = state.machine.owner(of: redirection.slot) != target
            state.machine.moved(redirection.slot, to: target, now: now, jitter: settings.randomness())
            return isNews
        }
        guard isNews else { return }
        logger.debug(
            "a slot has moved to another node",
            metadata: [LogKey.slot: "\(redirection.slot)", LogKey.endpoint: "\(target)"]
        )
        mapHasChanged()
        wakeAsker()
    }

    /// Asks for a new map, soon.
    func needsMap() {
        state.withLock { $0.machine.needsMap(now: now, jitter: settings.randomness()) }
        wakeAsker()
    }

    // MARK: Waiting

    /// Waits until the map has changed, or for `time`.
    func waitForChange(atMost time: Duration) async {
        let sleeper = Sleeper()
        let id: Int? = state.withLock { state in
            if state.isClosed { return nil }
            state.lastSleeper += 1
            state.sleepers[state.lastSleeper] = sleeper
            return state.lastSleeper
        }
        guard let id else { return }
        await eventLoops.timers.sleep(for: time, as: sleeper)
        state.withLock { _ = $0.sleepers.removeValue(forKey: id) }
    }

    private func mapHasChanged() {
        let sleepers = state.withLock { state in
            defer { state.sleepers = [:] }
            return Array(state.sleepers.values)
        }
        for sleeper in sleepers { sleeper.wake() }
    }

    /// Asks for a new map, and waits before another attempt.
    ///
    /// - Throws: ``RedisError``, if no attempt may follow: `failure`, or why not.
    func waitToTryAgain(
        after failure: RedisError,
        attempt: Int,
        before deadline: NIODeadline
    ) async throws(RedisError) {
        guard failure.isRetriable else { throw background.isRunning ? failure : BackgroundTasks.notRunning }
        try await waitForMap(because: failure, attempt: attempt, before: deadline)
    }

    private func waitForMap(
        because failure: RedisError,
        attempt: Int,
        before deadline: NIODeadline
    ) async throws(RedisError) {
        if isClosed { throw PoolStateMachine<RedisConnection>.shutDown }
        if Task.isCancelled { throw ConnectionPool.cancelled }
        let delay = settings.delay(attempt: attempt)
        guard now + TimeAmount(delay) < deadline else {
            throw background.isRunning ? explained(failure) : BackgroundTasks.notRunning
        }
        needsMap()
        await waitForChange(atMost: delay)
    }

    /// A node has refused a connection for good. Something else may listen at its address by now: waits for a map that is
    /// newer than the refusal, and returns if another node serves the slot.
    ///
    /// - Throws: ``RedisError``: `failure`, if the node does serve the slot, or if no node tells its map in time.
    func waitForOtherOwner(
        of slot: Int?,
        than address: ServerAddress,
        after failure: RedisError,
        before deadline: NIODeadline
    ) async throws(RedisError) {
        let time = now
        var attempt = 0
        while true {
            switch state.withLock({ $0.machine.serves(slot, address, since: time) }) {
            case true?: throw failure
            case false?: return
            case nil:
                attempt += 1
                try await waitForMap(because: failure, attempt: attempt, before: deadline)
            }
        }
    }

    /// That one node is down does not mean that the address of the cluster is wrong.
    private func explained(_ failure: RedisError) -> RedisError {
        let hasMap = state.withLock { !$0.machine.map.isEmpty }
        guard hasMap, [.connectionRefused, .connectTimeout, .hostNotFound].contains(failure.code) else {
            return failure
        }
        return RedisError(
            .clusterUnavailable,
            "The node that serves the slot cannot be reached, and no other has taken its place yet: \(failure.message)",
            cause: failure
        )
    }

    /// Why there is no node for a slot.
    func noOwner(of slot: Int?) -> RedisError {
        if let failure = state.withLock({ $0.machine.lastFailure }) { return failure }
        return RedisError(
            .clusterUnavailable,
            slot.map { "No node of the cluster serves slot \($0) now." } ?? "No node of the cluster is known."
        )
    }

    // MARK: Asking for maps

    /// Wakes the task that asks for maps, or starts it.
    private func wakeAsker() {
        let starts = state.withLock { state in
            if state.isClosed { return false }
            defer { state.isRunning = true }
            return !state.isRunning
        }
        asker.fire()
        guard starts else { return }
        background.start {
            await self.askForMaps()
        } otherwise: { [weak self] error in
            self?.couldNotStart(error)
        }
    }

    private func couldNotStart(_ error: RedisError) {
        state.withLock { state in
            state.isRunning = false
            state.machine.failed(error, now: now) { _ in .zero }
        }
        mapHasChanged()
    }

    private func askForMaps() async {
        while !Task.isCancelled,
            let next = state.withLock({ $0.isClosed ? nil : $0.machine.nextQuestion ?? .distantFuture })
        {
            if next <= now {
                await ask()
                continue
            }
            let timer =
                next == .distantFuture
                ? nil : eventLoops.timers.scheduleTask(deadline: next) { [asker] in asker.fire() }
            await asker.wait()
            timer?.cancel()
        }
    }

    private func ask() async {
        let addresses = state.withLock { state in
            state.machine.begin(now: now) { addresses in settings.shuffled(addresses) }
        }
        switch await firstAnswer(of: addresses) {
        case .success(let (ranges, address)):
            let (gone, hasRecovered) = state.withLock { state in
                let gone = state.machine.loaded(
                    ranges,
                    from: address,
                    nodes: Set(state.nodes.keys.map(\.address)),
                    now: now,
                    jitter: settings.randomness()
                )
                return (state.nodes.filter { gone.contains($0.key.address) }, state.machine.takeRecovery())
            }
            giveUp(gone)
            if hasRecovered {
                logger.info("a node of the cluster has told its map again", metadata: [LogKey.endpoint: "\(address)"])
            }
            mapHasChanged()
        case .failure(let error):
            if Task.isCancelled { return }
            let failures = state.withLock { state in
                state.machine.failed(error, now: now) { attempt in
                    TimeAmount(settings.backoff.delay(attempt: attempt, jitter: settings.randomness()))
                }
                return state.machine.takeWarning(now: now)
            }
            guard let failures else { return }
            logger.warning(
                "no node of the cluster told its map",
                metadata: [LogKey.reason: "\(error)", LogKey.attempt: "\(failures)"]
            )
        }
    }

    /// Gives up nodes that serve no slot any more. What is on its way still gets its reply.
    private func giveUp(_ nodes: [NodeKey: Node]) {
        for (key, node) in nodes {
            if node.pool.isLeased {
                // The leases end behind their reads, and the next map ends the node. A node that imports its first slots is
                // in no map yet.
                if key.role == .usual { node.pool.retireConnections() }
                continue
            }
            state.withLock { $0.nodes[key] = nil }
            node.pool.retire(because: Self.nodeIsGone)
        }
    }

    private static var nodeIsGone: RedisError {
        RedisError(.connectionUnavailable, "The node serves no slot of the cluster any more.")
    }

    private typealias Answer = Result<([CLUSTER.SlotRange], ServerAddress), RedisError>

    /// Asks the nodes, each a while after the one before unless that has failed, until the first answers.
    private func firstAnswer(of addresses: [ServerAddress]) async -> Answer {
        await withTaskGroup(of: Answer?.self) { group in
            var rest = addresses[...]
            var asking = 0
            var failure: RedisError?
            func askNext() {
                guard let address = rest.popFirst() else { return }
                asking += 1
                group.addTask { await self.ask(address) }
                group.addTask {
                    await self.eventLoops.timers.sleep(for: self.settings.hedgingDelay)
                    return nil
                }
            }
            askNext()
            while asking > 0, let answer = await group.next() {
                switch answer {
                case .success(let map)?:
                    group.cancelAll()
                    return .success(map)
                case .failure(let error)?:
                    asking -= 1
                    // One that may pass says more than what one node of many refuses for good.
                    if failure?.isRetriable != true { failure = error }
                    askNext()
                case nil: askNext()
                }
            }
            group.cancelAll()
            return .failure(failure ?? RedisError(.clusterUnavailable, "No node of the cluster is known."))
        }
    }

    private func ask(_ address: ServerAddress) async -> Answer {
        let pool = node(at: address).pool
        do throws(RedisError) {
            let connection = if let ready = pool.readyShared() { ready } else { try await pool.shared() }
            let ranges = try await connection.execute(CLUSTER.SLOTS())
            if ranges.isEmpty {
                return .failure(RedisError(.clusterUnavailable, "No slot of the cluster is assigned to a node."))
            }
            return .success((ranges, address))
        } catch {
            return .failure(error)
        }
    }

    // MARK: The end

    /// Closes all connections to all nodes.
    func close() {
        let nodes = state.withLock { state in
            state.isClosed = true
            defer { state.nodes = [:] }
            return Array(state.nodes.values)
        }
        asker.fire()
        mapHasChanged()
        for node in nodes { node.pool.close() }
    }

    private var isClosed: Bool { state.withLock { $0.isClosed } }
}

/// The settings of a client that matter to its cluster.
struct ClusterSettings: Sendable {
    var acquireTimeout: Duration
    var backoff: Backoff
    /// Returns random numbers from 0 to 1.
    var randomness: @Sendable () -> Double
    var leaseClock: LeaseClock
    /// After which time without an answer the next node is asked as well.
    var hedgingDelay = Duration.milliseconds(300)

    /// The elements in random order.
    func shuffled<Element>(_ elements: [Element]) -> [Element] {
        elements.map { (order: randomness(), element: $0) }.sorted { $0.order < $1.order }.map(\.element)
    }
}
