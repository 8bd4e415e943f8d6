internal import NIOCore
internal import Synchronization

/// One server: its endpoint, the pool of connections to it, and the identity that the ids of its connections belong to.
final class Node: Sendable {
    let endpoint: Endpoint
    let pool: ConnectionPool
    private let server: CurrentServer
    private let eventLoops: EventLoops

    init(
        endpoint: Endpoint,
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
        server = CurrentServer()
        pool = ConnectionPool(
            settings: settings,
            connector: NodeConnector(
                endpoint: endpoint,
                server: server,
                configuration: connection,
                transport: transport,
                instruments: instruments
            ),
            eventLoops: eventLoops,
            background: background,
            instruments: instruments,
            randomness: randomness,
            observer: observer
                ?? .init(
                    onNotMaster: { [server] pool in
                        Self.serverIsNotMaster(server, pool, now: eventLoops.timers.now)
                    }
                )
        )
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
    private struct State {
        var identity = ServerIdentity.unique()
        var demotedAt: NIODeadline?
    }

    private let state = Mutex(State())

    var identity: ServerIdentity { state.withLock { $0.identity } }

    /// The server is not the master, so that connections made from now on may lead to another one. Returns `false` within a
    /// second of the last time: a server that is meant to be a replica, and is written to, must not cost all connections with
    /// each command.
    func isNotMaster(now: NIODeadline) -> Bool {
        state.withLock { state in
            if let last = state.demotedAt, now < last + .seconds(1) { return false }
            state = State(demotedAt: now)
            return true
        }
    }
}
