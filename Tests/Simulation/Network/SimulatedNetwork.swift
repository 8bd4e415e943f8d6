import NIOCore
import RedisStreams

/// What the network needs of a server.
protocol SimulatedServer: AnyObject {
    /// A client has connected.
    func opened(_ connection: SimulatedConnection)
    func received(_ bytes: ByteBuffer, sent: VirtualTime, on connection: Int)
    func closed(_ connection: Int)
}

/// All connections between the nodes and the server, with latencies and faults that the seed draws.
///
// SAFETY: there is one thread.
final class SimulatedNetwork: @unchecked Sendable {
    let scheduler: Scheduler
    let trace: Trace
    var random: SeededGenerator
    let server: any SimulatedServer
    /// Whether the server accepts connections.
    var isServerUp = true
    private(set) var connections: [SimulatedConnection] = []
    private var lastNumber = 0
    /// Whether connections stay open although their clients close them.
    var leaks = false
    /// Called for each fault that has had an effect.
    var onFault: (Fault, Node?) -> Void = { _, _ in }

    init(scheduler: Scheduler, trace: Trace, server: any SimulatedServer, seed: UInt64) {
        self.scheduler = scheduler
        self.trace = trace
        self.server = server
        random = SeededGenerator(seed: seed ^ 0xBEEF)
    }

    func fired(_ fault: Fault, at node: Node?) { onFault(fault, node) }

    func latency(of node: Node) -> VirtualTime {
        var latency = random.duration(milliseconds: 0.05...1)
        if node.delayUntil > scheduler.now { latency = latency + random.duration(milliseconds: 10...1000) }
        return latency
    }

    func connections(of node: Node) -> [SimulatedConnection] {
        connections.filter { $0.node === node && $0.isOpen }
    }

    func forgetIfClosed(_ connection: SimulatedConnection) {
        if !connection.isOpen { connections.removeAll { $0 === connection } }
    }

    /// Breaks all connections.
    func resetAll() {
        for connection in connections { connection.reset() }
    }

    fileprivate func connect(
        _ node: Node,
        timeout: Duration,
        delegate: any ByteStreamDelegate
    ) async throws(RedisError) -> SimulatedConnection {
        guard node.isAlive else { throw RedisError(.connectionRefused, "The process is dead.") }
        await node.process.eventLoop.wait(latency(of: node))
        while node.isPartitioned {
            // The partition loses the SYN. The client sends it again until it times out.
            await node.process.eventLoop.wait(.milliseconds(200))
            if Task.isCancelled { throw RedisError(.cancelled, "Cancelled while connecting.") }
            if !node.isAlive { throw RedisError(.connectionRefused, "The process is dead.") }
        }
        guard isServerUp, node.isAlive else { throw RedisError(.connectionRefused, "The server is down.") }
        lastNumber += 1
        let connection = SimulatedConnection(number: lastNumber, node: node, network: self, delegate: delegate)
        trace.record("client", lastNumber, "\(node.name)#\(lastNumber) connects")
        connections.append(connection)
        server.opened(connection)
        return connection
    }
}

/// The network as one node sees it.
struct SimulatedTransport: Transport {
    let network: SimulatedNetwork
    let node: Node

    func connect(
        _ configuration: RedisConnection.Configuration,
        on eventLoop: any EventLoop,
        delegate: any ByteStreamDelegate
    ) async throws(RedisError) -> any ByteStream {
        try await network.connect(node, timeout: configuration.connectTimeout, delegate: delegate)
    }
}

extension SimulatedEventLoop {
    /// Waits on the virtual clock, and ignores cancellation.
    func wait(_ time: VirtualTime) async {
        await withCheckedContinuation { continuation in
            _ = scheduleTask(in: .nanoseconds(time.nanoseconds)) { continuation.resume() }
        }
    }
}
