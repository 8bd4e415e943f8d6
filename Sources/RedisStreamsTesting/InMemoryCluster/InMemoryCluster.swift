public import Logging
package import NIOCore
public import RedisStreams
internal import Synchronization

/// A Redis cluster in the process, for tests of code that uses streams: several servers on one clock, and levers that
/// move slots, fail over, stop and kill nodes at the moment that the test chooses.
///
/// Each node behaves as an ``InMemoryRedis`` of the chosen version, and answers `MOVED`, `ASK`, `TRYAGAIN`, `CROSSSLOT` and
/// `CLUSTERDOWN` when real nodes of that version do. Test your handlers against a slot move in ten lines:
///
/// ```swift
/// @Test func `An order is billed once while its slot moves`() async throws {
///     let cluster = InMemoryCluster()
///     try await cluster.withClient { redis in
///         let billing = GroupConsumer(redis, stream: "orders", group: "billing", consumer: "1")
///         let worker = Task { try await billing.run { try await bill($0) } }
///         let slot = StreamKey("orders").slot
///         try cluster.beginMoving(slot: slot, to: cluster.masters[2])
///         try await redis.xadd("orders", ["item": "book"])
///         try cluster.moveKeys(of: slot)
///         try cluster.finishMoving(slot: slot)
///         …
///     }
/// }
/// ```
///
/// Each node numbers its clients from 1, so that the same `CLIENT ID` is another client on another node, as in real
/// clusters. Ids, idle times and expiry go by the clock of the node.
///
/// Nothing happens by itself: a node that was killed is replaced when the test calls ``failOver(_:)``, and the cluster is
/// down when it calls ``clusterDown(for:)``. Replicas do not serve reads, also not after `READONLY`. As in a real cluster,
/// there is only database 0. What ``InMemoryRedis`` does not have is missing here, too.
///
/// Source of the rules: [Redis cluster specification](https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/).
public final class InMemoryCluster: Sendable {
    /// By which name the nodes announce themselves in `MOVED`, `ASK` and `CLUSTER SLOTS`.
    public enum Announcement: Sendable, Hashable, CaseIterable {
        /// By a host name: `MOVED 866 node-1:7000`.
        case hostname
        /// By an IP address: `MOVED 866 10.0.0.1:7000`.
        case address
        /// Not at all: `MOVED 866 :7000`. Clients are to keep the host that they have asked. Redis 6.2 cannot do so, and
        /// announces the address instead.
        case unknownEndpoint
    }

    /// A node of the cluster.
    public struct Node: Sendable, Hashable, CustomStringConvertible {
        let index: Int
        /// The name or address by which the node announces itself. With ``Announcement/unknownEndpoint``, any host name
        /// leads to the node whose port is asked for; this is one.
        public let host: String
        /// The port, which no other node has.
        public let port: Int

        /// Where clients connect to the node.
        public var address: ServerAddress { .tcp(host: host, port: port) }

        /// `host:port`.
        public var description: String { "\(host):\(port)" }
    }

    /// The servers that the nodes behave like.
    public let version: InMemoryRedis.Version

    /// The clock of all nodes and of their clients.
    public let clock = ManualClock()

    /// All nodes: first those that began as masters, then those that began as replicas.
    public let nodes: [Node]

    private let addresses: [ServerAddress: Int]
    private let nodesByPort: [Int: Int]
    let group: HostGroup
    let hosts: [RedisHost]

    /// Creates an empty cluster.
    ///
    /// - Parameters:
    ///   - masters: How many masters share the slots, from 1 to 100. Default: 3.
    ///   - replicas: How many replicas each master has, from 0 to 9. Default: 1.
    ///   - version: The servers that the nodes behave like. Default: Redis 7.0.
    ///   - announcement: How the nodes announce themselves. Default: by host names, `node-1:7000` and so on.
    ///   - password: The password that clients have to send. Default: `nil`, which accepts every client.
    ///   - milliseconds: The time of all clocks, since 1970. Default: a moment in November 2023.
    public init(
        masters: Int = 3,
        replicas: Int = 1,
        version: InMemoryRedis.Version = .redis7_0,
        announcement: Announcement = .hostname,
        password: String? = nil,
        startingAt milliseconds: Int = 1_700_000_000_000
    ) {
        self.version = version
        let eventLoop = clock.eventLoop
        let cluster = ClusterModel(version: version, masters: masters, replicas: replicas, announcement: announcement)
        let view = cluster.view
        nodes = view.members.enumerated().map { index, member in
            let host = view.endpoint(member)
            return Node(index: index, host: host.isEmpty ? "cluster" : host, port: member.port)
        }
        var addresses: [ServerAddress: Int] = [:]
        for (index, member) in view.members.enumerated() {
            addresses[.tcp(host: member.hostname, port: member.port)] = index
            addresses[.tcp(host: member.ip, port: member.port)] = index
        }
        self.addresses = addresses
        let isUnknown = view.announcement == .unknownEndpoint
        nodesByPort = isUnknown ? Dictionary(uniqueKeysWithValues: nodes.map { ($0.port, $0.index) }) : [:]
        let password = password.map { Bytes($0.utf8) }
        for model in cluster.models { model.password = password }
        let states = cluster.models.map { RedisHost.State($0, wallTime: milliseconds, eventLoop: eventLoop) }
        let group = HostGroup(HostGroup.Members(states: states, cluster: cluster))
        self.group = group
        hosts = nodes.map { RedisHost(group, index: $0.index, eventLoop: eventLoop) }
    }

    // MARK: Clients

    /// Returns a client of this cluster. Like every client, it works while its `run()` does.
    ///
    /// - Parameters:
    ///   - configuration: Its addresses are nodes of this cluster. Default: `nil`, for ``configuration``.
    ///   - logger: The logger of the client. Default: one that drops everything.
    /// - Throws: `RedisError` for an invalid configuration.
    public func makeClient(
        _ configuration: RedisClient.Configuration? = nil,
        logger: Logger = Logger(label: "in-memory", factory: { _ in SwiftLogNoOpLogHandler() })
    ) throws(RedisError) -> RedisClient {
        try RedisClient(
            configuration ?? self.configuration,
            transport: self,
            logger: logger,
            eventLoopGroup: clock.eventLoop
        )
    }

    /// Runs a client of this cluster, and passes it to `body`.
    public func withClient<Result: Sendable>(
        _ configuration: RedisClient.Configuration? = nil,
        isolation: isolated (any Actor)? = #isolation,
        _ body: (RedisClient) async throws -> Result
    ) async throws -> Result {
        try await makeClient(configuration).running(body)
    }

    /// The configuration of a client of this cluster, with the addresses of all nodes.
    public var configuration: RedisClient.Configuration {
        var configuration = RedisClient.Configuration()
        configuration.topology = .cluster(seeds: nodes.map(\.address))
        return configuration
    }

    // MARK: Faults

    /// Injects a fault into commands that arrive from now on.
    ///
    /// - Parameters:
    ///   - kind: What goes wrong.
    ///   - command: The name of the command, with the subcommand if that matters: `XADD`, `XGROUP CREATE`. Default:
    ///     any.
    ///   - node: The node at which it happens. Default: `nil`, for whichever node the command reaches.
    ///   - nth: The first of those commands to which the fault happens, counted from now on. Default: the first.
    ///   - times: How many of them it happens to, one after the other. Default: one.
    /// - Returns: The fault, which counts how often it has happened.
    @discardableResult
    public func inject(
        _ kind: Fault.Kind,
        on command: String? = nil,
        at node: Node? = nil,
        nth: Int = 1,
        times: Int = 1
    ) -> Fault {
        let fault = Fault(kind, on: command, nth: nth, times: times)
        for (other, host) in zip(nodes, hosts) where node == nil || node == other { host.add(fault) }
        return fault
    }

    /// Makes so many replicas confirm each write of a node, for `WAIT` and `WAITAOF`; see
    /// ``InMemoryRedis/setConfirmingReplicas(_:)``. The replicas of the cluster do not count.
    public func setConfirmingReplicas(_ count: Int, of node: Node) {
        for (other, host) in zip(nodes, hosts) where node == other { host.setConfirmingReplicas(max(0, count)) }
    }

    /// Makes the clock of a node jump, forward or back; see ``InMemoryRedis/stepClock(by:)``.
    public func stepClock(of node: Node, by duration: Duration) {
        for (other, host) in zip(nodes, hosts) where node == other {
            host.stepClock(milliseconds: duration.plausibleMilliseconds)
        }
    }
}

extension InMemoryCluster: Transport {
    package func connect(
        _ configuration: RedisConnection.Configuration,
        on eventLoop: any EventLoop,
        delegate: any ByteStreamDelegate
    ) async throws(RedisError) -> any ByteStream {
        guard let index = node(at: configuration.address) else {
            throw RedisError(.hostNotFound, "The cluster has no node at \(configuration.address).")
        }
        switch hosts[index].connectIfUp(HostedPeer(delegate: delegate)) {
        case .connected(let connection): return HostedStream(host: hosts[index], connection: connection)
        case .refused: throw RedisError(.connectionRefused, "\(nodes[index]) was killed by the test.")
        case .unanswered:
            let timeout = configuration.connectTimeout.plausibleMilliseconds
            let timer = eventLoop.scheduleTask(in: .milliseconds(Int64(timeout))) {}
            await withTaskCancellationHandler {
                _ = try? await timer.futureResult.get()
            } onCancel: {
                timer.cancel()
            }
            throw RedisError(.connectTimeout, "\(nodes[index]) was isolated by the test.")
        }
    }

    private func node(at address: ServerAddress) -> Int? {
        if let index = addresses[address] { return index }
        guard case .tcp(_, let port) = address else { return nil }
        return nodesByPort[port]
    }
}
