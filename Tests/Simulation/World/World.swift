import Logging
import NIOCore
import RedisStreams
import RedisStreamsTesting

/// One run: a scheduler, a network, a server, the nodes, the faults that are planned, and the checker.
///
// SAFETY: there is one thread.
final class World: @unchecked Sendable {
    let seed: UInt64
    let scheduler: Scheduler
    let trace: Trace
    let network: SimulatedNetwork
    let server: ServerHost
    let checker: Checker
    /// For what the scenario draws.
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
        server = ServerHost(scheduler: scheduler, trace: trace, version: random.pick(InMemoryRedis.Version.allCases))
        network = SimulatedNetwork(scheduler: scheduler, trace: trace, server: server, seed: seed)
        network.onFault = { [unowned self] fault, node in noteFault(fault, at: node) }
    }

    var now: VirtualTime { scheduler.now }

    // MARK: Nodes

    /// Starts a process with a client, which runs until `body` has ended.
    ///
    /// - Parameter runsClient: Whether the client is run here; else `body` does it.
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
        trace.note(name, "starts")
        node.task = Task.detached(executorPreference: node.process) { [trace] in
            let running = runsClient ? Task.detached(executorPreference: node.process) { try? await client.run() } : nil
            do {
                try await body(client, node)
                if node.isAlive { trace.note(name, "has ended") }
            } catch {
                if node.isAlive { trace.note(name, "ends with \(error)") }
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

    /// Kills a process: from now on nothing of it reaches anybody, and nothing it does counts.
    func kill(_ node: Node) {
        guard node.isAlive else { return }
        trace.note(node.name, "is killed")
        node.die()
        checker.died(node)
        for connection in network.connections(of: node) { connection.reset() }
        // What is left of it ends unseen, so that no memory is lost.
        node.process.goOn()
        node.task?.cancel()
    }

    // MARK: Running

    /// Runs until `isDone`, at most for `limit` of virtual time.
    @discardableResult
    func run(for limit: VirtualTime, until isDone: () -> Bool = { false }) -> Bool {
        if scheduler.isRunningInCircles { return false }
        let isDone = scheduler.run(until: now + limit, isDone: isDone)
        if scheduler.isRunningInCircles {
            checker.violated(.comesToRest, "\(scheduler.lastWorker) works on and on")
        }
        return isDone
    }

    /// Ends all nodes that are left, and says what does not end.
    func end() {
        for node in nodes {
            node.process.goOn()
            node.task?.cancel()
        }
        if scheduler.isRunningInCircles { return }
        if !run(for: .seconds(120), until: { nodes.allSatisfy(\.hasEnded) }) {
            let names = nodes.filter { !$0.hasEnded }.map(\.name)
            checker.violated(.noLeak, "\(names) do not end when they are cancelled")
        }
        run(for: .seconds(1))
        let open = network.connections.filter(\.isOpenAtClient)
        if !open.isEmpty { checker.violated(.noLeak, "\(open.map { "\($0.node.name)#\($0.number)" }) are open") }
    }

    /// Lets go of everything.
    func discard() {
        network.onFault = { _, _ in }
        scheduler.discard()
        nodes = []
    }

    // MARK: Faults

    /// A fault has done something that may keep nodes from renewing, until `end` and a while longer.
    func noteFault(_ fault: Fault, at node: Node?, until end: VirtualTime? = nil) {
        fired[fault, default: 0] += 1
        if !Self.sparesReplies.contains(fault) { checker.repliesMayBeLost = true }
        let end = end ?? now
        lastFault = max(lastFault, end)
        for hindered in nodes where node == nil || node === hindered {
            hindered.hinderedUntil = max(hindered.hinderedUntil, end + recovery)
        }
    }

    /// What loses no reply of a process that goes on.
    private static let sparesReplies: Set<Fault> = [.kill, .pause, .shutdown, .clockStep]

    /// Whether there are no more faults.
    var isCalm = false

    func noteCalm() { lastFault = now }

    /// How long after a fault a lease may still be lost through it: the lease, and the time to connect again.
    var recovery = VirtualTime.seconds(40)
}
