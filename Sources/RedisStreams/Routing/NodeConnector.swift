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
        try await RedisConnection.connect(
            configuration,
            to: server.identity,
            transport: transport,
            on: eventLoop,
            instruments: instruments
        )
    }

    var leaseClock: LeaseClock { transport.leaseClock }
}
