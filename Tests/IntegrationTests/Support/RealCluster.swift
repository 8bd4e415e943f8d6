import Foundation
import NIOCore
import NIOPosix
import RedisStreams
import Synchronization
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A private cluster of real servers on free ports of this machine. It is made by commands on sockets, without
/// `redis-cli`, in about two seconds.
///
/// Its slots are spread over the masters as those of an `InMemoryCluster` with as many masters.
final class RealCluster: Sendable {
    struct Options: Sendable {
        var masters = 3
        /// The replicas of each master.
        var replicas = 0
        /// Lines of `redis.conf`, each with its arguments.
        var settings: [[String]] = []
    }

    /// One server of the cluster.
    final class Node: Sendable {
        /// Its position: masters first, then the first replicas of all masters, and so on.
        let index: Int
        let port: Int
        fileprivate let process = Mutex<ChildProcess?>(nil)
        private let identity = Mutex("")

        init(index: Int, port: Int) {
            self.index = index
            self.port = port
        }

        /// The id of the node, of 40 hexadecimal digits.
        fileprivate(set) var id: String {
            get { identity.withLock { $0 } }
            set { identity.withLock { $0 = newValue } }
        }

        var address: ServerAddress { .tcp(host: "127.0.0.1", port: port) }

        /// Sends a command on a connection of its own, and returns the reply.
        ///
        /// - Throws: ``ChildProcess/Failure`` if none comes within ten seconds.
        @discardableResult
        func send(_ command: String...) async throws -> RESPText { try await send(command) }

        func send(_ command: [String]) async throws -> RESPText {
            let connection = try await RawConnection(port: port)
            connection.close(after: .seconds(10))
            connection.send([command])
            guard let reply = await connection.replies(1).first else {
                throw ChildProcess.Failure(description: "Node \(index) gave no reply to \(command.prefix(3)).")
            }
            return reply
        }

        /// Sends a command that has to succeed.
        func order(_ command: String...) async throws { try await order(command) }

        func order(_ command: [String]) async throws {
            let reply = try await send(command)
            if case .line(let text) = reply, text.hasPrefix("-") {
                throw ChildProcess.Failure(description: "Node \(index) refuses \(command.prefix(4)): \(text)")
            }
        }

        /// The text of a reply, such as that of `INFO`; empty if the node does not answer.
        func text(_ command: String...) async -> String { (try? await send(command))?.description ?? "" }
    }

    let binary: ServerBinary
    let nodes: [Node]
    private let options: Options
    private let folder: String

    /// The nodes that began as masters.
    var masters: ArraySlice<Node> { nodes[..<options.masters] }

    /// The first replica that a master began with.
    func replica(of master: Node) -> Node { nodes[options.masters + master.index] }

    // MARK: Scopes

    /// Runs `body` with its own cluster. All its processes end with it.
    @discardableResult
    static func withOwn<Result>(
        _ binary: ServerBinary,
        _ options: Options = Options(),
        _ body: (RealCluster) async throws -> Result
    ) async throws -> Result {
        let cluster = try await RealCluster(binary, options)
        do {
            try await cluster.form()
            let result = try await body(cluster)
            await cluster.remove()
            return result
        } catch {
            await cluster.remove()
            throw error
        }
    }

    private static let sharedClusters = Mutex<[ServerBinary: Task<RealCluster, any Error>]>([:])

    /// The one cluster of three masters of this kind. It ends with the process. A test may move slots whose keys it has
    /// made up, and nothing else.
    static func shared(_ binary: ServerBinary) async throws -> RealCluster {
        let task = sharedClusters.withLock { clusters in
            if let task = clusters[binary] { return task }
            let task = Task {
                let cluster = try await RealCluster(binary, Options())
                try await cluster.form()
                return cluster
            }
            clusters[binary] = task
            return task
        }
        return try await task.value
    }

    private init(_ binary: ServerBinary, _ options: Options) async throws {
        if let fault = binary.fault { throw ChildProcess.Failure(description: fault) }
        self.binary = binary
        self.options = options
        var ports: Set<Int> = []
        while ports.count < options.masters * (1 + options.replicas) { ports.insert(try await Self.freePort()) }
        nodes = ports.sorted().enumerated().map { Node(index: $0, port: $1) }
        folder = "/tmp/redis-streams-cluster-\(UInt64.random(in: 0...UInt64.max))"
    }

    private func remove() async {
        for node in nodes { try? await kill(node) }
        try? FileManager.default.removeItem(atPath: folder)
    }

    // MARK: Start

    /// A port that is free together with that of the cluster bus, which is 10,000 above. No slot has such a number.
    private static func freePort() async throws -> Int {
        while true {
            let port = Int.random(in: 17_000..<20_000)
            if try await isFree(port), try await isFree(port + 10_000) { return port }
        }
    }

    private static func isFree(_ port: Int) async throws -> Bool {
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        guard let channel = try? await bootstrap.bind(host: "127.0.0.1", port: port).get() else { return false }
        try await channel.close()
        return true
    }

    /// Starts a node, also one that was killed: it then has its place in the cluster, and no data.
    func start(_ node: Node) async throws {
        let nodeFolder = "\(folder)/\(node.index)"
        try FileManager.default.createDirectory(atPath: nodeFolder, withIntermediateDirectories: true)
        let settings = [
            ["port", "\(node.port)"], ["bind", "127.0.0.1"], ["dir", nodeFolder], ["save", ""], ["daemonize", "no"],
            ["cluster-enabled", "yes"], ["cluster-config-file", "nodes.conf"], ["cluster-node-timeout", "2000"],
            ["repl-diskless-sync", "yes"], ["repl-diskless-sync-delay", "0"],
            ["repl-ping-replica-period", "1"],
        ]
        let arguments = (settings + options.settings).flatMap { ["--\($0[0])"] + $0.dropFirst() }
        let child = try ChildProcess([binary.path] + arguments, log: "\(nodeFolder)/log", removing: folder)
        node.process.withLock { $0 = child }
        try await eventually("node \(node.index) of \(binary.name) answers") {
            if child.hasExited {
                let log = (try? String(contentsOfFile: "\(nodeFolder)/log", encoding: .utf8)) ?? ""
                throw ChildProcess.Failure(description: "\(binary.name) ended at once: \(log.suffix(2000))")
            }
            return (try? await RawConnection(port: node.port)) != nil
        }
    }

    /// Makes a cluster of the nodes, and waits until it works.
    private func form() async throws {
        for node in nodes { try await start(node) }
        for node in nodes {
            if case .bulk(let id) = try await node.send("CLUSTER", "MYID") { node.id = id }
            try await node.order("CLUSTER", "SET-CONFIG-EPOCH", "\(node.index + 1)")
        }
        for master in masters {
            let slots = (0..<16_384).filter { $0 * options.masters / 16_384 == master.index }
            try await master.order(["CLUSTER", "ADDSLOTS"] + slots.map(String.init))
        }
        for node in nodes {
            for other in nodes[(node.index + 1)...] {
                try await node.order("CLUSTER", "MEET", "127.0.0.1", "\(other.port)")
            }
        }
        try await eventually("the nodes of \(binary.name) know each other") {
            for node in nodes {
                let information = await node.text("CLUSTER", "INFO")
                guard information.contains("known_nodes:\(nodes.count)\\13") else { return false }
            }
            return true
        }
        for replica in nodes[options.masters...] {
            let master = nodes[replica.index % options.masters]
            try await eventually("node \(replica.index) becomes a replica") {
                await replica.text("CLUSTER", "REPLICATE", master.id) == "+OK"
            }
        }
        let replicaCount = nodes.count - options.masters
        try await eventually("the nodes of \(binary.name) know the replicas") {
            for node in nodes {
                let lines = await node.text("CLUSTER", "NODES").split(separator: "\\10")
                guard lines.count(where: { $0.contains("slave ") }) == replicaCount else { return false }
            }
            return true
        }
        try await waitUntilItWorks()
    }

    /// Waits until all nodes that run say that the cluster works, and all replicas have the data of their masters.
    func waitUntilItWorks() async throws {
        let running = nodes.filter { node in node.process.withLock { $0 != nil } }
        let deadline = ContinuousClock.now + .seconds(60)
        while let fault = await firstFault(of: running) {
            guard ContinuousClock.now < deadline else {
                throw ChildProcess.Failure(description: "The cluster of \(binary.name) does not work: \(fault)")
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    /// What a node lacks; `nil` if the cluster works.
    private func firstFault(of running: [Node]) async -> String? {
        for node in running {
            let info = await node.text("CLUSTER", "INFO")
            guard info.contains("cluster_state:ok") else { return "node \(node.index) says \(info)" }
            let replication = await node.text("INFO", "replication")
            guard replication.contains("role:master") || replication.contains("master_link_status:up") else {
                return "node \(node.index) says \(replication)"
            }
        }
        return nil
    }
}

// MARK: - Levers

extension RealCluster {
    /// The node that serves a slot, as the node `asked` knows it. Default: the first node that runs.
    func owner(of slot: Int, asking asked: Node? = nil) async throws -> Node {
        guard let asked = asked ?? nodes.first(where: { node in node.process.withLock { $0 != nil } }) else {
            throw ChildProcess.Failure(description: "No node runs.")
        }
        for range in try await asked.send("CLUSTER", "SLOTS").elements {
            let parts = range.elements
            guard parts.count > 2, case .line(let start) = parts[0], case .line(let end) = parts[1],
                let low = Int(start.dropFirst()), let high = Int(end.dropFirst()), (low...high).contains(slot),
                case .bulk(let id)? = parts[2].elements.dropFirst(2).first
            else { continue }
            if let node = nodes.first(where: { $0.id == id }) { return node }
        }
        throw ChildProcess.Failure(description: "Nobody serves slot \(slot).")
    }

    /// Moves a slot key by key: ``beginMoving(_:from:to:)``, ``moveKeys(of:from:to:)``, ``finishMoving(_:from:to:)``.
    func move(_ slot: Int, to target: Node) async throws {
        let source = try await owner(of: slot)
        guard source !== target else { return }
        try await beginMoving(slot, from: source, to: target)
        try await moveKeys(of: slot, from: source, to: target)
        try await finishMoving(slot, from: source, to: target)
    }

    func beginMoving(_ slot: Int, from source: Node, to target: Node) async throws {
        try await target.order("CLUSTER", "SETSLOT", "\(slot)", "IMPORTING", source.id)
        try await source.order("CLUSTER", "SETSLOT", "\(slot)", "MIGRATING", target.id)
    }

    func moveKeys(of slot: Int, from source: Node, to target: Node) async throws {
        while true {
            let keys = try await source.send("CLUSTER", "GETKEYSINSLOT", "\(slot)", "100").elements.compactMap {
                key -> String? in
                if case .bulk(let name) = key { name } else { nil }
            }
            if keys.isEmpty { return }
            try await source.order(["MIGRATE", "127.0.0.1", "\(target.port)", "", "0", "5000", "KEYS"] + keys)
        }
    }

    /// Gives the slot to its new owner, and tells all others that run.
    func finishMoving(_ slot: Int, from source: Node, to target: Node) async throws {
        let others = nodes.filter { $0 !== source && $0 !== target }
        for node in [target, source] {
            try await node.order("CLUSTER", "SETSLOT", "\(slot)", "NODE", target.id)
        }
        // A replica or a node that is down hears of it by gossip.
        for node in others where node.process.withLock({ $0 != nil }) {
            _ = try await node.send("CLUSTER", "SETSLOT", "\(slot)", "NODE", target.id)
        }
    }

    /// Moves a slot by `CLUSTER MIGRATESLOTS`, which only Valkey has, and waits until old and new owner know it.
    func moveAtomically(_ slot: Int, from source: Node, to target: Node) async throws {
        try await source.order("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", "\(slot)", "\(slot)", "NODE", target.id)
        try await eventually("slot \(slot) has moved") {
            for node in [source, target] {
                guard try await owner(of: slot, asking: node) === target else { return false }
            }
            return true
        }
        try await endMigrationProcess(of: source)
    }

    /// Ends the process that has sent a slot. That of Valkey 9.1 sometimes waits for ever on a pipe (seen once in five
    /// moves on a busy machine), and while it lives, its node gives no replica a full copy.
    private func endMigrationProcess(of node: Node) async throws {
        guard let parent = node.process.withLock({ $0?.pid }) else { return }
        try await eventually("node \(node.index) has no process that sends a slot") {
            let children = try? String(contentsOfFile: "/proc/\(parent)/task/\(parent)/children", encoding: .utf8)
            let left = (children ?? "").split(separator: " ").compactMap { pid_t($0) }.filter { child in
                let line = try? String(contentsOfFile: "/proc/\(child)/cmdline", encoding: .utf8)
                return line?.contains("slot-migration") == true
            }
            for child in left { ChildProcess.end(child) }
            return left.isEmpty
        }
    }

    /// Makes a replica the master, by `CLUSTER FAILOVER`, and waits until it is.
    func failOver(to replica: Node) async throws {
        try await replica.order("CLUSTER", "FAILOVER")
        try await eventually("node \(replica.index) is the master") {
            await replica.text("INFO", "replication").contains("role:master")
        }
    }

    /// Ends a node as `kill -9` does. ``start(_:)`` starts it again.
    func kill(_ node: Node) async throws {
        try await node.process.withLock { $0.take() }?.terminate()
    }

    /// Stops the process of a node: connections stay open, and it does not answer.
    func stop(_ node: Node) { node.process.withLock { $0?.send(SIGSTOP) } }

    /// Continues a stopped node.
    func cont(_ node: Node) { node.process.withLock { $0?.send(SIGCONT) } }
}
