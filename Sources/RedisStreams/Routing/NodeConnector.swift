internal import NIOCore

/// Connects to the endpoint of a node.
struct NodeConnector: Connector {
    private let server: CurrentServer
    private let configuration: RedisConnection.Configuration
    private let transport: any Transport
    private let instruments: Instruments

    init(
        endpoint: Endpoint,
        server: CurrentServer,
        configuration: RedisConnection.Configuration,
        transport: any Transport,
        instruments: Instruments
    ) {
        self.server = server
        self.transport = transport
        self.instruments = instruments
        var configuration = configuration
        configuration.address = endpoint.address
        self.configuration = configuration
    }

    func connect(on eventLoop: any EventLoop) async throws(RedisError) -> RedisConnection {
        try await connect(configuration, to: server.identity, on: eventLoop)
    }

    /// Connects to the master that sentinels have named, which has to say so itself.
    func connect(
        to master: CurrentServer.Master,
        on eventLoop: any EventLoop
    ) async throws(RedisError) -> RedisConnection {
        var configuration = configuration
        configuration.address = master.address
        configuration.requiresMaster = true
        return try await connect(configuration, to: master.identity, on: eventLoop)
    }

    private func connect(
        _ configuration: RedisConnection.Configuration,
        to identity: ServerIdentity,
        on eventLoop: any EventLoop
    ) async throws(RedisError) -> RedisConnection {
        try await RedisConnection.connect(
            configuration,
            to: identity,
            transport: transport,
            on: eventLoop,
            instruments: instruments
        )
    }

    /// How long connecting may take.
    var connectTimeout: Duration { configuration.connectTimeout }

    var leaseClock: LeaseClock { transport.leaseClock }
}
