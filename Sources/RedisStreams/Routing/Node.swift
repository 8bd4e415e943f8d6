internal import NIOCore
internal import Synchronization

/// One server: its endpoint, the pool of connections to it, and the identity that the ids of its connections belong to.
final class Node: Sendable {
    let endpoint: Endpoint
    let pool: ConnectionPool
    private let server: CurrentServer
    /// What closes the connections to a master that has been replaced.
    private let replacementObserver: Int?
    private let eventLoops: EventLoops

    /// - Parameter sentinels: Who says where the master is; `nil` for a server at the endpoint itself.
    init(
        endpoint: Endpoint,
        sentinels: SentinelDirectory.Settings? = nil,
        connection: RedisConnection.Configuration,
        settings: ConnectionPool.Settings,
        transport: any Transport,
        eventLoops: EventLoops,
        background: BackgroundTasks,
        instruments: Instruments,
        randomness: @escaping @Sendable () -> Double,
        observer: ConnectionPool.Observer? = nil
    ) {
        self.endpoint = endpoint
        self.eventLoops = eventLoops
        let server = CurrentServer()
        let fixed = NodeConnector(
            endpoint: endpoint,
            server: server,
            configuration: connection,
            transport: transport,
            instruments: instruments
        )
        var askSentinels: (@Sendable () -> Void)?
        var connector: any Connector = fixed
        if let sentinels {
            let directory = SentinelDirectory(
                sentinels,
                server: server,
                transport: transport,
                eventLoop: eventLoops.timers,
                background: background,
                instruments: instruments
            )
            askSentinels = { directory.ask(because: .connection) }
            connector = MasterConnector(
                directory: directory,
                server: server,
                base: fixed,
                background: background,
                backoff: settings.backoff,
                randomness: randomness
            )
        }
        let pool = ConnectionPool(
            settings: settings,
            connector: connector,
            eventLoops: eventLoops,
            background: background,
            instruments: instruments,
            randomness: randomness,
            observer: observer
                ?? .init(
                    onNotMaster: { [askSentinels] pool in
                        askSentinels?()
                        Self.serverIsNotMaster(server, pool, now: eventLoops.timers.now)
                    },
                    onLoss: askSentinels.map { ask in { @Sendable _ in ask() } }
                )
        )
        self.server = server
        self.pool = pool
        // In the turn in which the sentinels name another master, nothing more is sent to the one before.
        replacementObserver = sentinels.map { _ in
            server.whenReplaced { pool.endConnections(because: RedisError.masterReplaced) }
        }
    }

    deinit {
        // The pool refers to the server, and the server to the pool.
        if let replacementObserver { server.forget(replacementObserver) }
    }

    // MARK: Ids of connections

    /// A shared connection to the server that gave `connection` its id, for `CLIENT UNBLOCK`; `nil` if there is none now.
    /// Another server may have given the same id to somebody else's connection.
    func readyShared(toServerOf connection: RedisConnection) -> RedisConnection? {
        guard let shared = pool.readyShared(), shared.isToSameServer(as: connection) else { return nil }
        return shared
    }

    // MARK: The master

    /// The server answered `READONLY` or `MASTERDOWN`, or says by `ROLE` that it is a replica: the master is elsewhere,
    /// perhaps behind the same address. Every connection ends behind the replies that are still to come, and callers get new
    /// connections from now on, for which the name is resolved again.
    ///
    /// May be called on any thread, as often as there is a reason: it takes effect once a second at most.
    func serverIsNotMaster() {
        Self.serverIsNotMaster(server, pool, now: eventLoops.timers.now)
    }

    private static func serverIsNotMaster(_ server: CurrentServer, _ pool: ConnectionPool, now: NIODeadline) {
        if server.isNotMaster(now: now) { pool.retireConnections() }
    }
}

/// The server that a node leads to. After a failover the same endpoint may lead to another server.
final class CurrentServer: Sendable {
    /// A master that sentinels have named.
    struct Master: Sendable {
        let address: ServerAddress
        let identity: ServerIdentity
    }

    private struct State {
        var identity = ServerIdentity.unique()
        var demotedAt: NIODeadline?
        /// Behind sentinels, where they say that the master is.
        var address: ServerAddress?
        /// What else happens when the master is replaced, in this order.
        var observers: [(number: Int, body: @Sendable () -> Void)] = []
        var lastObserver = 0
    }

    private let state = Mutex(State())

    var identity: ServerIdentity { state.withLock { $0.identity } }

    /// The master that the sentinels name; `nil` before they have named one.
    var master: Master? {
        state.withLock { state in state.address.map { Master(address: $0, identity: state.identity) } }
    }

    /// The master is another server from now on.
    func replace(by address: ServerAddress) {
        let observers = state.withLock { state in
            state.identity = .unique()
            state.address = address
            return state.observers
        }
        for observer in observers { observer.body() }
    }

    /// Calls `body` whenever the master has been replaced, until `forget`.
    func whenReplaced(_ body: @escaping @Sendable () -> Void) -> Int {
        state.withLock { state in
            state.lastObserver += 1
            state.observers.append((state.lastObserver, body))
            return state.lastObserver
        }
    }

    func forget(_ observer: Int) {
        state.withLock { $0.observers.removeAll { $0.number == observer } }
    }

    /// The server is not the master, so that connections made from now on may lead to another one. Returns `false` within a
    /// second of the last time: a server that is meant to be a replica, and is written to, must not cost all connections with
    /// each command.
    func isNotMaster(now: NIODeadline) -> Bool {
        state.withLock { state in
            if let last = state.demotedAt, now < last + .seconds(1) { return false }
            state.identity = .unique()
            state.demotedAt = now
            return true
        }
    }
}
