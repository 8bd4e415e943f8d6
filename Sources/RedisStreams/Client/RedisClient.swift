public import Logging
public import NIOCore
public import NIOPosix
public import ServiceLifecycle
internal import Synchronization

/// A client of one Redis server, of the master that sentinels monitor, or of a cluster. It sends the commands of all tasks on
/// a few shared connections to each server, and leases a connection of its own to each blocking command and each consumer.
///
/// A client works while its ``run()`` does. Add it to a `ServiceGroup`, call `run()` in a task group, or use
/// ``withRedisClient(_:logger:eventLoopGroup:_:)-(String,_,_,_)`` if one scope is enough. It connects when it is first
/// used, and again after a connection has been lost.
///
/// ```swift
/// let redis = try RedisClient("redis://localhost:6379")
/// let services = ServiceGroup(services: [redis, billing], gracefulShutdownSignals: [.sigterm], logger: logger)
/// try await services.run()
/// ```
public final class RedisClient: Sendable {
    /// The configuration of the client.
    public let configuration: Configuration

    let logger: Logger
    /// Who listens to the connections and consumers of this client; its log is the first.
    let instruments: Instruments
    let router: Router
    let background: BackgroundTasks
    private let eventLoops: EventLoops
    /// Returns random numbers from 0 to 1. A simulation passes its own.
    let randomness: @Sendable () -> Double
    /// Whether the client runs in the scope of a closure, and not as a service.
    private let isScoped = Atomic(false)

    /// A client with a configuration.
    ///
    /// - Parameters:
    ///   - configuration: Where and how to connect.
    ///   - logger: The logger of the client and its consumers: `error` when a consumer ends with an error, `warning`
    ///     for a message that is lost, given up or handled twice, `info` for connections and other changes. Default: a
    ///     logger of swift-log, which prints.
    ///   - eventLoopGroup: The threads for the connections. Default: NIO's shared group, with one thread for each core.
    /// - Throws: ``RedisError`` with ``RedisError/Code/invalidConfiguration``.
    public convenience init(
        _ configuration: Configuration,
        logger: Logger = Logger(label: "redis-streams"),
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    ) throws(RedisError) {
        try self.init(
            configuration,
            transport: SocketTransport(),
            logger: logger,
            eventLoopGroup: eventLoopGroup
        )
    }

    /// A client for the server at a URL; see ``Configuration/init(url:)``.
    ///
    /// - Throws: ``RedisError`` with ``RedisError/Code/invalidConfiguration``.
    public convenience init(
        _ url: String,
        logger: Logger = Logger(label: "redis-streams"),
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    ) throws(RedisError) {
        try self.init(Configuration(url: url), logger: logger, eventLoopGroup: eventLoopGroup)
    }

    /// - Parameters:
    ///   - randomness: Returns random numbers from 0 to 1, which spread all delays. A simulation passes its own, so that
    ///     it can be repeated.
    ///   - instruments: Who else listens to what happens.
    package init(
        _ configuration: Configuration,
        transport: any Transport,
        logger: Logger,
        eventLoopGroup: any EventLoopGroup,
        randomness: @escaping @Sendable () -> Double = { .random(in: 0...1) },
        instruments: [any Instrument] = []
    ) throws(RedisError) {
        try configuration.validate()
        self.configuration = configuration
        self.logger = logger
        self.instruments = Instruments([ConnectionLog(logger)] + instruments)
        let eventLoops = EventLoops(eventLoopGroup)
        self.eventLoops = eventLoops
        background = BackgroundTasks(timeout: configuration.acquireTimeout, timers: eventLoops.timers)
        self.randomness = randomness
        let makeNode =
            { @Sendable [background, instruments = self.instruments] endpoint, role, observer in
                var connection = configuration.connection
                connection.asks = role == .asking
                return Node(
                    endpoint: endpoint,
                    sentinels: configuration.sentinels,
                    connection: connection,
                    settings: ConnectionPool.Settings(configuration),
                    transport: transport,
                    eventLoops: eventLoops,
                    background: background,
                    instruments: instruments,
                    randomness: randomness,
                    observer: observer
                )
            } as Cluster.MakeNode
        switch configuration.topology {
        case .single, .sentinel:
            router = Router(makeNode(Endpoint(address: configuration.connection.address), .usual, nil))
        case .cluster(let seeds):
            let cluster = Cluster(
                seeds: seeds,
                settings: ClusterSettings(
                    acquireTimeout: configuration.acquireTimeout,
                    backoff: configuration.backoff,
                    randomness: randomness,
                    leaseClock: transport.leaseClock
                ),
                eventLoops: eventLoops,
                background: background,
                logger: logger,
                makeNode: makeNode
            )
            router = Router(cluster)
        }
    }

    /// An event loop for an engine and its connection.
    func nextEventLoop() -> any EventLoop { eventLoops.next() }
}

extension ConnectionPool.Settings {
    fileprivate init(_ configuration: RedisClient.Configuration) {
        self.init(
            sharedConnections: configuration.sharedConnections,
            maxLeasedConnections: configuration.maxLeasedConnections,
            acquireTimeout: configuration.acquireTimeout,
            backoff: configuration.backoff,
            triesAgain: !configuration.topology.isCluster
        )
    }
}

extension RedisClient: Service {
    /// Runs the client until the task is cancelled or a graceful shutdown begins; then closes all connections.
    ///
    /// A client can run only once. Commands that have no reply at the end fail with
    /// ``RedisError/Code/connectionClosed``, later ones with ``RedisError/Code/clientShutDown``.
    ///
    /// - Throws: ``RedisError``, if the client has run before.
    public func run() async throws {
        try await withGracefulShutdownHandler {
            try await background.run { self.router.close() }
        } onGracefulShutdown: {
            self.background.stop()
        }
    }
}

extension RedisClient {
    /// Whether there is a connection to send commands on, for a readiness probe. If there is none, reading this
    /// property makes the client try to connect.
    public var isReady: Bool {
        if router.isReady { return true }
        router.prepare()
        return false
    }

    /// Waits until there is a connection to send commands on: for ever if ``Configuration/startup`` is
    /// ``Configuration/Startup/wait``, else for ``Configuration/acquireTimeout``.
    ///
    /// - Throws: ``RedisError``: the reason why there is no connection; on cancellation.
    public func waitUntilReady() async throws(RedisError) {
        while true {
            do throws(RedisError) {
                try await router.waitUntilReady()
                return
            } catch {
                guard error.isRetriable, waitsForServer else { throw error }
            }
        }
    }

    /// Whether a caller who has not been connected yet waits for the server; `false` if the client does not run.
    var waitsForServer: Bool {
        let usual: Configuration.Startup = isScoped.load(ordering: .relaxed) ? .fail : .wait
        return background.isRunning && (configuration.startup ?? usual) == .wait
    }
}

extension RedisClient: RedisCommandExecutor {
    /// Executes one command: on a shared connection, or on a leased one if the command blocks.
    ///
    /// The client never sends a command again that a server may have executed. If the connection is lost before the reply arrives,
    /// ``RedisError/mayHaveExecuted`` of the error says whether the server may have executed the command.
    ///
    /// - Throws: ``RedisError``.
    public func execute<Command: RedisCommand>(_ command: Command) async throws(RedisError) -> Command.Response {
        try command.validate()
        if let cluster = router.cluster { return try await cluster.execute(command) }
        guard command.blockingTime != nil else {
            // The usual case: a connection is ready, so the call does not need to wait for one.
            if let connection = router.readyShared() { return try await connection.executeChecked(command) }
            return try await waiting(for: command) { () async throws(RedisError) in
                try await router.route(for: nil).shared()
            }.executeChecked(command)
        }
        let route = router.route(for: nil)
        let connection = try await waiting(for: command) { () async throws(RedisError) in try await route.lease() }
        let result: Result<Command.Response, RedisError>
        do throws(RedisError) { result = .success(try await connection.execute(command)) } catch {
            result = .failure(error)
        }
        await route.released(connection)
        return try result.get()
    }

    /// Sends commands in one write on a shared connection; see ``RedisConnection/pipeline(_:)-(_)``.
    ///
    /// The client refuses commands that block, since they would delay the commands of other callers. Use
    /// ``withConnection(_:)`` for them.
    ///
    /// - Throws: ``RedisError``, if there is no connection. The error of a single command is in its result.
    public func pipeline<each Command: RedisCommand>(
        _ command: repeat each Command
    ) async throws(RedisError) -> (repeat Result<(each Command).Response, RedisError>) {
        for command in repeat each command { try Self.refuseBlocking(command) }
        if let cluster = router.cluster { return await cluster.pipeline(repeat each command) }
        return try await router.route(for: nil).shared().pipeline(repeat each command)
    }

    /// Sends any number of commands of one type in one write on a shared connection.
    ///
    /// - Throws: ``RedisError``, if there is no connection. The error of a single command is in its result.
    public func pipeline<Command: RedisCommand>(
        _ commands: [Command]
    ) async throws(RedisError) -> [Result<Command.Response, RedisError>] {
        for command in commands { try Self.refuseBlocking(command) }
        if let cluster = router.cluster { return await cluster.pipeline(commands) }
        return try await router.route(for: nil).shared().pipeline(commands)
    }

    /// Executes commands as a transaction; see ``RedisConnection/transaction(_:)``.
    ///
    /// - Throws: ``RedisError``, if the server refused the whole transaction, or if its outcome is unknown.
    public func transaction<each Command: RedisCommand>(
        _ command: repeat each Command
    ) async throws(RedisError) -> (repeat Result<(each Command).Response, RedisError>) {
        if let cluster = router.cluster { return try await cluster.transaction(repeat each command) }
        return try await router.route(for: nil).shared().transaction(repeat each command)
    }

    /// Leases a connection for `body`. No other caller uses it until `body` returns.
    ///
    /// - Parameter key: In a cluster, the connection leads to the node that serves this key. `body` meets redirections itself.
    /// - Throws: ``RedisError`` if there is no connection; any error of `body`.
    @discardableResult
    public func withConnection<Result>(
        for key: StreamKey? = nil,
        _ body: (RedisConnection) async throws -> Result
    ) async throws -> Result {
        let route = router.route(for: key)
        let connection = try await route.lease()
        let result: Swift.Result<Result, any Error>
        do { result = .success(try await body(connection)) } catch { result = .failure(error) }
        await route.released(connection)
        return try result.get()
    }

    /// Waits for a connection. An error names the command that needed it.
    private func waiting(
        for command: some RedisCommand,
        _ connection: () async throws(RedisError) -> RedisConnection
    ) async throws(RedisError) -> RedisConnection {
        do throws(RedisError) { return try await connection() } catch { throw error.about(command: command.name) }
    }

    private static func refuseBlocking(_ command: some RedisCommand) throws(RedisError) {
        guard command.blockingTime != nil else { return }
        throw RedisError(
            .invalidArgument,
            "A command that blocks cannot share a connection: execute it alone or in withConnection.",
            command: command.name
        )
    }
}

/// Runs a client for as long as `body` runs.
///
/// ```swift
/// try await withRedisClient("redis://localhost:6379") { redis in
///     try await redis.xadd("orders", ["item": "book"])
/// }
/// ```
///
/// - Throws: ``RedisError`` for an invalid URL; any error of `body`.
@discardableResult
public func withRedisClient<Result: Sendable>(
    _ url: String,
    logger: Logger = Logger(label: "redis-streams"),
    eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
    isolation: isolated (any Actor)? = #isolation,
    _ body: (RedisClient) async throws -> Result
) async throws -> Result {
    try await withRedisClient(
        RedisClient.Configuration(url: url),
        logger: logger,
        eventLoopGroup: eventLoopGroup,
        body
    )
}

/// Runs a client for as long as `body` runs.
///
/// - Throws: ``RedisError`` for an invalid configuration; any error of `body`.
@discardableResult
public func withRedisClient<Result: Sendable>(
    _ configuration: RedisClient.Configuration,
    logger: Logger = Logger(label: "redis-streams"),
    eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
    isolation: isolated (any Actor)? = #isolation,
    _ body: (RedisClient) async throws -> Result
) async throws -> Result {
    let client = try RedisClient(configuration, logger: logger, eventLoopGroup: eventLoopGroup)
    return try await client.running(body)
}

extension RedisClient {
    /// Runs the client for as long as `body` runs.
    package func running<Result: Sendable>(
        isolation: isolated (any Actor)? = #isolation,
        _ body: (RedisClient) async throws -> Result
    ) async throws -> Result {
        isScoped.store(true, ordering: .relaxed)
        // Not a child task: if this task is cancelled, or shuts down gracefully, the client must still work until the
        // body returns, because the body may send acknowledgements.
        let scope = Task.detached { try await self.background.run(cleanUp: self.router.close) }
        let result: Swift.Result<Result, any Error>
        do { result = .success(try await body(self)) } catch { result = .failure(error) }
        background.stop()
        try await scope.value
        return try result.get()
    }
}
