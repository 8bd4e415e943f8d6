import Logging
import NIOCore
import RedisStreams
import RedisStreamsTesting

/// One run: a scheduler, a network, a server, the nodes, the planned faults, and the checker.
///
// SAFETY: there is one thread.
final class World: @unchecked Sendable {
    let seed: UInt64
    let scheduler: Scheduler
    let trace: Trace
    let network: SimulatedNetwork
    let server: ServerHost
    let checker: Checker
    let lives: EntryLives
    /// Draws the parameters of the scenario and its faults.
    var random: SeededGenerator
    private(set) var nodes: [Node] = []
    private(set) var fired: [Fault: Int] = [:]
    /// When the last fault was over.
    private(set) var lastFault = VirtualTime.zero
    private var lastNode = 0

    init(seed: UInt64, isTraced: Bool) {
        self.seed = seed
        let scheduler = Scheduler(seed: seed)
        unsafe Scheduler.current = scheduler
        self.scheduler = scheduler
        random = SeededGenerator(seed: seed)
        trace = Trace(isKept: isTraced) { scheduler.now }
        checker = Checker(trace: trace) { scheduler.now }
        lives = EntryLives(isKept: isTraced) { scheduler.now }
        server = ServerHost(scheduler: scheduler, trace: trace, version: random.pick(InMemoryRedis.Version.allCases))
        network = SimulatedNetwork(scheduler: scheduler, trace: trace, server: server, seed: seed)
        network.onFault = { [unowned self] fault, node in countFault(fault, at: node) }
    }

    var now: VirtualTime { scheduler.now }

    // MARK: Nodes

    /// Starts a process with a client, which runs until `body` has ended.
    ///
    /// - Parameter runsClient: Whether this function runs the client. Otherwise `body` does.
    @discardableResult
    func start(
        _ name: String,
        runsClient: Bool = true,
        configure: (inout RedisClient.Configuration) -> Void = { _ in },
        _ body: @escaping @Sendable (RedisClient, Node) async throws -> Void
    ) throws -> Node {
        let node = Node(name: name, process: scheduler.makeProcess(name))
        nodes.append(node)
        let client = try makeClient(for: node, configure)
        trace.record(name, "starts")
        node.task = Task.detached(executorPreference: node.process) { [trace] in
            let running = runsClient ? Task.detached(executorPreference: node.process) { try? await client.run() } : nil
            do {
                try await body(client, node)
                if node.isAlive { trace.record(name, "has ended") }
            } catch {
                if node.isAlive { trace.record(name, "ends with \(error)") }
            }
            running?.cancel()
            await running?.value
            node.ended()
        }
        return node
    }

    private func makeClient(
        for node: Node,
        _ configure: (inout RedisClient.Configuration) -> Void
    ) throws -> RedisClient {
        var configuration = RedisClient.Configuration()
        configuration.connection.connectTimeout = .seconds(1)
        configuration.connection.commandTimeout = .seconds(2)
        configuration.acquireTimeout = .seconds(5)
        configuration.backoff.limit = .seconds(1)
        configure(&configuration)
        let scheduler = scheduler
        return try RedisClient(
            configuration,
            transport: SimulatedTransport(network: network, node: node),
            logger: Logger(label: "simulation", factory: { _ in SwiftLogNoOpLogHandler() }),
            eventLoopGroup: node.process.eventLoop,
            randomness: { scheduler.random.fraction() }
        )
    }

    /// Kills a process: its connections break, and what its tasks still do reaches no server and does not count.
    func kill(_ node: Node) {
        guard node.isAlive else { return }
        trace.record(node.name, "is killed")
        node.die()
        checker.killed(node)
        for connection in network.connections(of: node) { connection.reset() }
        // Its tasks still have to end, so that no memory leaks.
        node.process.resume()
        node.task?.cancel()
    }

    // MARK: Running

    /// Runs until `isDone`, at most for `limit` of virtual time.
    @discardableResult
    func run(for limit: VirtualTime, until isDone: () -> Bool = { false }) -> Bool {
        if scheduler.isInBusyLoop { return false }
        let isDone = scheduler.run(until: now + limit, isDone: isDone)
        if scheduler.isInBusyLoop {
            checker.violated(.noBusyLoop, "\(scheduler.lastWorker) never waits")
        }
        return isDone
    }

    /// Cancels all nodes, and reports those that do not end, and connections that stay open.
    func end() {
        for node in nodes {
            node.process.resume()
            node.task?.cancel()
        }
        if scheduler.isInBusyLoop { return }
        if !run(for: .seconds(120), until: { nodes.allSatisfy(\.hasEnded) }) {
            let names = nodes.filter { !$0.hasEnded }.map(\.name)
            checker.violated(.noLeak, "\(names) do not end when they are cancelled")
        }
        run(for: .seconds(1))
        let open = network.connections.filter(\.isOpenAtClient)
        if !open.isEmpty { checker.violated(.noLeak, "\(open.map { "\($0.node.name)#\($0.number)" }) are open") }
    }

    /// Drops all timers and nodes, so that the run can be freed.
    func discard() {
        network.onFault = { _, _ in }
        scheduler.discard()
        nodes = []
    }

    // MARK: Faults

    /// Counts a fault, which may keep nodes from renewing their leases until `end` and for `recovery` after that.
    func countFault(_ fault: Fault, at node: Node?, until end: VirtualTime? = nil) {
        fired[fault, default: 0] += 1
        if !Self.sparesReplies.contains(fault) { checker.repliesMayBeLost = true }
        let end = end ?? now
        lastFault = max(lastFault, end)
        for hindered in nodes where node == nil || node === hindered {
            hindered.hinderedUntil = max(hindered.hinderedUntil, end + recovery)
        }
    }

    /// The faults that lose no reply of a process that lives on.
    private static let sparesReplies: Set<Fault> = [.kill, .pause, .shutdown, .clockStep]

    /// Whether there are no more faults.
    var isCalm = false

    func recordCalm() { lastFault = now }

    /// How long after a fault it may still cost a consumer its lease: the lease, and the time to reconnect.
    var recovery = VirtualTime.seconds(40)
}
