public import Logging
package import NIOCore
internal import NIOEmbedded
public import RedisStreams
internal import Synchronization

/// A master with replicas, and three sentinels that monitor it, in the process: for tests of what a failover does.
///
/// ```swift
/// let servers = InMemorySentinels()
/// try await servers.withClient { redis in
///     try await redis.xadd("orders", ["item": "book"])
///     servers.failOver(losing: 1, oldMaster: .stays(for: .seconds(11)))
///     await servers.clock.advance(by: .seconds(1))
///     #expect(try await redis.xlen("orders") == 0)
/// }
/// ```
///
/// The servers behave like ``InMemoryRedis``. A failover happens when the test says so: nothing is detected. Time stands
/// still until the test moves it.
public final class InMemorySentinels: Sendable {
    /// What becomes of the master that a failover replaces.
    public enum OldMaster: Sendable, Hashable {
        /// It becomes a replica at once, and closes all connections.
        case demoted
        /// It goes on as a master for this time, and acknowledges writes that are lost, as real ones do for 10 to 11 s.
        /// Then it becomes a replica, and closes all connections.
        case stays(for: Duration)
        /// It is gone: all connections have ended, and nothing listens there any more.
        case stopped
        /// It hangs: connections stay open and can be made, and nothing is answered.
        case silent
    }

    /// The clock of all servers, all sentinels and their clients.
    public let clock = ManualClock()

    private final class Server: Sendable {
        struct State {
            var host: RedisHost
            var isStopped = false
            var isSilent = false
        }

        let address: ServerAddress
        let state: Mutex<State>

        init(_ address: ServerAddress, _ host: RedisHost) {
            self.address = address
            state = Mutex(State(host: host))
        }

        var host: RedisHost { state.withLock { $0.host } }
    }

    private struct Lead {
        /// The number of the server that is the master.
        var master = 0
        var epoch = 1
        var announces = true
    }

    private let master: String
    private let version: InMemoryRedis.Version
    private let password: String?
    private let sentinelPassword: String?
    private let startTime: Int
    private let servers: [Server]
    private let sentinels: [InMemorySentinel]
    private let lead = Mutex(Lead())
    private let replication = ReplicationLog()
    private let log = CommandLog()

    /// Starts a master, its replicas and three sentinels.
    ///
    /// - Parameters:
    ///   - master: The name of the master.
    ///   - replicas: How many replicas there are, at least one.
    ///   - version: The servers that they behave like. Default: Redis 7.0.
    ///   - password: The password of the servers. Default: `nil`, for none.
    ///   - sentinelPassword: The password of the sentinels. Default: `nil`, for none.
    ///   - milliseconds: The time of the servers' clocks, since 1970. Default: a moment in November 2023.
    public init(
        master: String = "mymaster",
        replicas: Int = 2,
        version: InMemoryRedis.Version = .redis7_0,
        password: String? = nil,
        sentinelPassword: String? = nil,
        startingAt milliseconds: Int = 1_700_000_000_000
    ) {
        self.master = master
        self.version = version
        self.password = password
        self.sentinelPassword = sentinelPassword
        startTime = milliseconds
        let eventLoop = clock.eventLoop
        servers = (0...max(1, replicas)).map { number in
            let host = RedisHost(version: version, password: password, wallTime: milliseconds, eventLoop: eventLoop)
            if number > 0 { host.replicate(Self.location(ofServer: 0)) }
            return Server(Self.address(Self.location(ofServer: number)), host)
        }
        let addresses = (1...3).map { ServerAddress.tcp(host: "10.0.1.\($0)", port: 26379) }
        let view = Self.view(Lead())
        sentinels = addresses.indices.map { [log] number in
            InMemorySentinel(
                number,
                of: addresses,
                master: master,
                view: view,
                password: sentinelPassword,
                eventLoop: eventLoop,
                log: log
            )
        }
        servers[0].host.record { [replication] in replication.append($0, $1) }
    }

    private static func location(ofServer number: Int) -> (host: String, port: Int) { ("10.0.0.\(number + 1)", 6379) }

    private static func address(_ location: (host: String, port: Int)) -> ServerAddress {
        .tcp(host: location.host, port: location.port)
    }

    // MARK: Clients

    /// A configuration for a client of these servers, with the addresses of all sentinels and all passwords.
    public var configuration: RedisClient.Configuration {
        var configuration = RedisClient.Configuration()
        configuration.connection.password = password.map { Password($0) }
        configuration.topology = .sentinel(
            master: master,
            sentinels: sentinels.map(\.address),
            credentials: sentinelPassword.map { .init(password: Password($0)) }
        )
        return configuration
    }

    /// Returns a client of these servers. Like every client, it works while its `run()` does.
    ///
    /// - Parameter configuration: Default: ``configuration``.
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

    /// Runs a client of these servers, and passes it to `body`.
    public func withClient<Result: Sendable>(
        _ configuration: RedisClient.Configuration? = nil,
        isolation: isolated (any Actor)? = #isolation,
        _ body: (RedisClient) async throws -> Result
    ) async throws -> Result {
        try await makeClient(configuration).running(body)
    }

    // MARK: Levers

    /// The address of the master that was named by the last failover.
    public var masterAddress: ServerAddress { servers[lead.withLock { $0.master }].address }

    /// Makes the next replica the master, with an epoch that is higher than all before. All sentinels that run know of it
    /// at once, and announce it.
    ///
    /// - Parameters:
    ///   - writes: How many of the last writes replication has not brought over: the new master does not have them.
    ///   - oldMaster: What becomes of the old master. Default: it is gone.
    public func failOver(losing writes: Int = 0, oldMaster: OldMaster = .stopped) {
        let (old, next, view, announces) = lead.withLock { lead in
            let old = lead.master
            lead.master = (old + 1) % servers.count
            lead.epoch += 1
            return (servers[old], servers[lead.master], Self.view(lead), lead.announces)
        }
        let oldHost = old.host
        oldHost.record(nil)
        if oldMaster == .silent { old.state.withLock { $0.isSilent = true } }
        replication.lose(writes)
        promote(next)
        switch oldMaster {
        case .demoted: oldHost.replicate((view.host, view.port))
        case .stays(let duration):
            let time = TimeAmount.milliseconds(Int64(duration.plausibleMilliseconds))
            clock.eventLoop.scheduleTask(in: time) { oldHost.replicate((view.host, view.port)) }
        case .stopped:
            old.state.withLock { $0.isStopped = true }
            oldHost.replicate((view.host, view.port))
        case .silent: break
        }
        for sentinel in sentinels { sentinel.learn(view, announce: announces) }
    }

    private func promote(_ server: Server) {
        let model = replication.replay(version, password: password)
        let elapsed = clock.elapsed.plausibleMilliseconds
        let host = RedisHost(continuing: model, wallTime: startTime + elapsed, eventLoop: clock.eventLoop)
        host.record { [replication] in replication.append($0, $1) }
        let before = server.state.withLock { state in
            defer { state = Server.State(host: host) }
            return state.host
        }
        before.replicate(nil)
    }

    /// Stops one of the three sentinels, counted from 0: its connections end, and it refuses new ones.
    public func stop(sentinel number: Int) { sentinel(number)?.stop() }

    /// Starts a sentinel again that was stopped. It knows what it knew.
    public func start(sentinel number: Int) { sentinel(number)?.start() }

    /// Lets a sentinel learn nothing more: it goes on to name the master that it knows, with the old epoch.
    ///
    /// - Parameter isHeldBack: `false` ends that: the sentinel learns what the others know.
    public func holdBack(sentinel number: Int, _ isHeldBack: Bool = true) {
        let (view, announces) = lead.withLock { (Self.view($0), $0.announces) }
        sentinel(number)?.setHeldBack(isHeldBack)
        sentinel(number)?.learn(view, announce: announces)
    }

    private static func view(_ lead: Lead) -> InMemorySentinel.View {
        let location = location(ofServer: lead.master)
        return InMemorySentinel.View(host: location.host, port: location.port, epoch: lead.epoch)
    }

    private func sentinel(_ number: Int) -> InMemorySentinel? {
        sentinels.indices.contains(number) ? sentinels[number] : nil
    }

    /// Whether sentinels announce a failover on the channel `+switch-master`. Otherwise it is found by asking them.
    public func setAnnouncing(_ announces: Bool) { lead.withLock { $0.announces = announces } }

    /// The commands that arrived at an address.
    package func commands(at address: ServerAddress) -> [[String]] { log.commands(at: address) }
}

extension InMemorySentinels: Transport {
    package func connect(
        _ configuration: RedisConnection.Configuration,
        on eventLoop: any EventLoop,
        delegate: any ByteStreamDelegate
    ) async throws(RedisError) -> any ByteStream {
        if let sentinel = sentinels.first(where: { $0.address == configuration.address }) {
            return SentinelStream(sentinel: sentinel, number: try sentinel.connect(delegate))
        }
        guard let server = servers.first(where: { $0.address == configuration.address }) else {
            throw RedisError(.hostNotFound, "There is no such server.")
        }
        let host: RedisHost? = server.state.withLock { $0.isStopped ? nil : $0.host }
        guard let host else { throw RedisError(.connectionRefused, "The server has been stopped.") }
        return ServerStream(
            server: server,
            host: host,
            connection: host.connect(Peer(delegate: delegate)),
            log: log
        )
    }

    private struct Peer: RedisPeer {
        let delegate: any ByteStreamDelegate

        func received(_ bytes: ByteBuffer) { delegate.received(bytes) }
        func ended() { delegate.ended(with: nil) }
    }

    private final class ServerStream: ByteStream {
        private let server: Server
        private let host: RedisHost
        private let connection: RedisModel.ConnectionID
        private let log: CommandLog
        private let reader = Mutex(RequestReader(.redis7_0))

        init(server: Server, host: RedisHost, connection: RedisModel.ConnectionID, log: CommandLog) {
            self.server = server
            self.host = host
            self.connection = connection
            self.log = log
        }

        func write(_ bytes: ByteBuffer) {
            reader.withLock { reader in
                reader.feed(bytes.readableBytesView)
                while let command = try? reader.next() { log.append(command.map(\.text), at: server.address) }
            }
            if server.state.withLock({ $0.isSilent && $0.host === host }) { return }
            host.received(bytes, from: connection)
        }

        func close() { host.closed(connection) }
        var localAddress: String? { connection.address }
    }

    private final class SentinelStream: ByteStream {
        private let sentinel: InMemorySentinel
        private let number: Int

        init(sentinel: InMemorySentinel, number: Int) {
            self.sentinel = sentinel
            self.number = number
        }

        func write(_ bytes: ByteBuffer) { sentinel.received(bytes, from: number) }
        func close() { sentinel.closed(number) }
    }
}
