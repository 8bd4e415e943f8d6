public import Logging
package import NIOCore
internal import NIOEmbedded
public import RedisStreams
internal import Synchronization

/// Replaces the sockets of a client: the test acts as the server, byte by byte, on a clock that it moves by hand.
///
/// ```swift
/// let transport = FakeTransport()
/// let redis = try transport.makeClient()
/// async let length = redis.xlen("orders")
/// let server = await transport.nextConnection()
/// #expect(await server.nextCommand() == ["XLEN", "orders"])
/// server.send(":3\r\n")
/// #expect(try await length == 3)
/// ```
///
/// As always, the client has to run: see `RedisClient.run()`.
public final class FakeTransport: Sendable {
    private struct State {
        var connections = AsyncQueue<FakeConnection>()
        var refusals: [RedisError] = []
    }

    private let state = Mutex(State())
    private let answersHandshake: Bool

    /// The clock of everything that happens on this transport.
    public let clock = ManualClock()

    /// Creates a transport without connections.
    ///
    /// - Parameter answersHandshake: Whether connections answer the handshake of a client by themselves: `AUTH`,
    ///   `SELECT`, `CLIENT SETNAME` and the first `PING`. ``FakeConnection/nextCommand()`` does not return those
    ///   commands then. Default: `true`.
    public init(answersHandshake: Bool = true) {
        self.answersHandshake = answersHandshake
    }

    /// Returns a client whose connections go through this transport.
    ///
    /// - Throws: `RedisError` for an invalid configuration.
    public func makeClient(
        _ configuration: RedisClient.Configuration = .init(),
        logger: Logger = Logger(label: "fake", factory: { _ in SwiftLogNoOpLogHandler() })
    ) throws(RedisError) -> RedisClient {
        try RedisClient(configuration, transport: self, logger: logger, eventLoopGroup: clock.eventLoop)
    }

    /// Runs a client whose connections go through this transport, and passes it to `body`.
    public func withClient<Result: Sendable>(
        _ configuration: RedisClient.Configuration = .init(),
        isolation: isolated (any Actor)? = #isolation,
        _ body: (RedisClient) async throws -> Result
    ) async throws -> Result {
        try await makeClient(configuration).running(body)
    }

    /// Waits for the next connection that a client opens. Each connection is returned once, in the order in which
    /// clients open them.
    public func nextConnection() async -> FakeConnection {
        await withCheckedContinuation { continuation in
            let connection = state.withLock { $0.connections.take(or: continuation) }
            if let connection { continuation.resume(returning: connection) }
        }
    }

    /// Makes the next connection attempt fail, as if no server listened.
    public func refuseNextConnection() {
        state.withLock { $0.refusals.append(RedisError(.connectionRefused, "Refused by the test.")) }
    }
}

extension FakeTransport: Transport {
    package func connect(
        _ configuration: RedisConnection.Configuration,
        on eventLoop: any EventLoop,
        delegate: any ByteStreamDelegate
    ) async throws(RedisError) -> any ByteStream {
        if let refusal = state.withLock({ $0.refusals.isEmpty ? nil : $0.refusals.removeFirst() }) { throw refusal }
        let connection = FakeConnection(eventLoop: eventLoop, delegate: delegate, answersHandshake: answersHandshake)
        let waiter = state.withLock { $0.connections.put(connection) }
        waiter?.resume(returning: connection)
        return connection.stream
    }
}
