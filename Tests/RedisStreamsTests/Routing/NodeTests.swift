import NIOCore
import Testing

@testable import RedisStreams
@testable import RedisStreamsTesting

@Suite(.limitedTime) struct NodeTests {
    @Test func `One node serves all keys, and the keys are not asked for`() throws {
        let redis = try FakeTransport().makeClient()
        var asked = 0
        func key(_ key: StreamKey) -> StreamKey {
            asked += 1
            return key
        }
        let node = try #require(redis.router.node)
        #expect(redis.router.route(for: key("orders")) as? Node === node)
        #expect(redis.router.route(for: key("payments")) as? Node === node)
        try redis.router.checkSlots(of: ["orders", "payments"])
        #expect(asked == 0)
    }

    @Test func `A node connects to its endpoint, whatever address the configuration has`() async throws {
        let transport = AddressLog()
        let connector = NodeConnector(
            endpoint: Endpoint(address: .tcp(host: "10.0.0.7", port: 7000)),
            server: CurrentServer(),
            configuration: .init(address: .tcp(host: "seed")),
            transport: transport,
            instruments: Instruments()
        )
        _ = try await connector.connect(on: transport.base.clock.eventLoop)
        #expect(await transport.addresses.wait(for: 1) == [.tcp(host: "10.0.0.7", port: 7000)])
    }

    @Test func `A server that is not the master is another one from then on, once a second`() {
        let server = CurrentServer()
        let first = server.identity
        #expect(server.identity == first)
        #expect(server.isNotMaster(now: .uptimeNanoseconds(1)))
        let second = server.identity
        #expect(second != first)
        #expect(!server.isNotMaster(now: .uptimeNanoseconds(1_000_000_000)))
        #expect(server.identity == second)
        #expect(server.isNotMaster(now: .uptimeNanoseconds(1_000_000_001)))
        #expect(server.identity != second)
    }

    @Test func `An id is only used on the server that gave it`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            let node = try #require(redis.router.node)
            let leased = try await node.pool.lease()
            _ = try await node.pool.shared()
            #expect(node.readyShared(toServerOf: leased) != nil)
            node.serverIsNotMaster()
            #expect(node.readyShared(toServerOf: leased) == nil, "there is none")
            let shared = try await node.pool.shared()
            #expect(node.readyShared(toServerOf: leased) == nil, "it leads to another server")
            #expect(node.readyShared(toServerOf: shared) === shared)
            await node.pool.released(leased)
        }
    }

    @Test func `The nodes of two clients are different servers`() async throws {
        let transports = [FakeTransport(), FakeTransport()]
        let first = try await transports[0].connectAlone()
        let second = try await transports[1].connectAlone()
        #expect(!first.isToSameServer(as: second))
        #expect(first.isToSameServer(as: first))
    }
}

/// A transport that notes the addresses that it connects to.
private struct AddressLog: Transport {
    let base = FakeTransport()
    let addresses = Journal<ServerAddress>()

    func connect(
        _ configuration: RedisConnection.Configuration,
        on eventLoop: any EventLoop,
        delegate: any ByteStreamDelegate
    ) async throws(RedisError) -> any ByteStream {
        addresses.record(configuration.address)
        return try await base.connect(configuration, on: eventLoop, delegate: delegate)
    }
}
