internal import Logging
internal import NIOCore

/// Connects to the endpoint of a node.
struct NodeConnector: Connector {
    private let server: CurrentServer
    private let configuration: RedisConnection.Configuration
    private let transport: any Transport
    private let logger: Logger

    init(
        endpoint: Endpoint,
        server: CurrentServer,
        configuration: RedisConnection.Configuration,
        transport: any Transport,
        logger: Logger
    ) {
        self.server = server
        self.transport = transport
        self.logger = logger
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
            logger: logger
        )
    }

    var leaseClock: LeaseClock { transport.leaseClock }
}
