public import Logging
package import NIOCore
internal import NIOEmbedded
public import RedisStreams
internal import Synchronization

/// Stands where the sockets are: a test plays the server, byte by byte, on a clock that it turns by hand.
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
/// The client has to run, as everywhere: see `RedisClient.run()`.
public final class FakeTransport: Sendable {
    private struct State {
        var connections = AsyncQueue<FakeConnection>()
        var refusals: [RedisError] = []
    }

    private let state = Mutex(State())
    private let answersHandshake: Bool

    /// The time of everything that happens on this transport.
    public let clock = ManualClock()

    /// A transport without connections.
    ///
    /// - Parameter answersHandshake: Whether connections answer by themselves what a client greets with: `AUTH`,
    ///   `SELECT`, `CLIENT SETNAME` and the first `PING`. Those commands are then not to be seen. Default: `true`.
    public init(answersHandshake: Bool = true) {
        self.answersHandshake = answersHandshake
    }

    /// A client whose connections are made by this transport.
    ///
    /// - Throws: `RedisError` for a configuration that cannot be.
    public func makeClient(
        _ configuration: RedisClient.Configuration = .init(),
        logger: Logger = Logger(label: "fake", factory: { _ in SwiftLogNoOpLogHandler() })
    ) throws(RedisError) -> RedisClient {
        try RedisClient(configuration, transport: self, logger: logger, eventLoopGroup: clock.eventLoop)
    }

    /// Gives `body` a running client whose connections are made by this transport.
    public func withClient<Result: Sendable>(
        _ configuration: RedisClient.Configuration = .init(),
        isolation: isolated (any Actor)? = #isolation,
        _ body: (RedisClient) async throws -> Result
    ) async throws -> Result {
        try await makeClient(configuration).running(body)
    }

    /// The next connection that a client makes; waits for it. Each is returned once, in the order in which they are made.
    public func nextConnection() async -> FakeConnection {
        await withCheckedContinuation { continuation in
            let connection = state.withLock { $0.connections.take(or: continuation) }
            if let connection { continuation.resume(returning: connection) }
        }
    }

    /// Lets the next attempt to connect fail, as if nobody listened.
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
