public import Logging
package import NIOCore
public import RedisStreams
internal import Synchronization

/// A Redis server within the process: for tests of code that uses streams, with no server to start and no time to wait.
///
/// It behaves like the real thing, of the version that is asked for: all stream commands with their errors, blocking reads,
/// groups and pending lists, transactions, expiry, and the scripts that this library sends. Clients of it are ordinary
/// clients, and speak RESP to it as over a socket. Time stands still until the test moves it.
///
/// ```swift
/// @Test func `An order is billed`() async throws {
///     let server = InMemoryRedis()
///     try await server.withClient { redis in
///         let billing = GroupConsumer(redis, stream: "orders", group: "billing", consumer: "1")
///         let worker = Task { try await billing.run { try await bill($0) } }
///         try await redis.xadd("orders", ["item": "book"])
///         …
///         await server.clock.advance(by: .seconds(30))
///     }
/// }
/// ```
///
/// The same on a port, for other clients: `swift run in-memory-redis --port 6380`.
///
/// Not here: Lua (other scripts than the library's are refused), access control lists, replicas, cluster, persistence,
/// and data types other than streams, strings and hashes.
public final class InMemoryRedis: Sendable {
    /// Which server it behaves like.
    public let version: Version

    /// The time of everything that happens on this server and to its clients.
    public let clock = ManualClock()

    private let host: RedisHost
    private let refusals = Mutex(0)

    /// An empty server.
    ///
    /// - Parameters:
    ///   - version: Which server it behaves like. Default: Redis 7.0.
    ///   - password: What clients have to give. Default: `nil`, which lets everybody in.
    ///   - milliseconds: What its clock says, since 1970. Default: a moment in November 2023.
    public init(
        version: Version = .redis7_0,
        password: String? = nil,
        startingAt milliseconds: Int = 1_700_000_000_000
    ) {
        self.version = version
        host = RedisHost(version: version, password: password, wallTime: milliseconds, eventLoop: clock.eventLoop)
    }

    // MARK: Clients

    /// A client of this server. It works while its `run()` does, as every client.
    ///
    /// - Throws: `RedisError` for a configuration that cannot be.
    public func makeClient(
        _ configuration: RedisClient.Configuration = .init(),
        logger: Logger = Logger(label: "in-memory", factory: { _ in SwiftLogNoOpLogHandler() })
    ) throws(RedisError) -> RedisClient {
        try RedisClient(configuration, transport: self, logger: logger, eventLoopGroup: clock.eventLoop)
    }

    /// Gives `body` a running client of this server.
    public func withClient<Result: Sendable>(
        _ configuration: RedisClient.Configuration = .init(),
        isolation: isolated (any Actor)? = #isolation,
        _ body: (RedisClient) async throws -> Result
    ) async throws -> Result {
        try await makeClient(configuration).running(body)
    }

    // MARK: What goes wrong

    /// Lets something go wrong with commands to come.
    ///
    /// ```swift
    /// let fault = server.inject(.closeAfterExecuting, on: "XREADGROUP", nth: 2)
    /// …
    /// #expect(fault.fired == 1)
    /// ```
    ///
    /// Of several faults that want the same command, the one that was injected first gets it.
    ///
    /// - Parameters:
    ///   - kind: What goes wrong.
    ///   - command: The name of the command, with the subcommand if that matters: `XADD`, `XGROUP CREATE`. Default: any.
    ///   - nth: With which of those commands it begins, counted from now on. Default: the first.
    ///   - times: With how many of them it happens, one after the other. Default: one.
    /// - Returns: What tells how often it has happened.
    @discardableResult
    public func inject(_ kind: Fault.Kind, on command: String? = nil, nth: Int = 1, times: Int = 1) -> Fault {
        let fault = Fault(kind, on: command, nth: nth, times: times)
        host.add(fault)
        return fault
    }

    /// Lets the server's clock jump, forward or back: ids, idle times and expiry go by it. Nobody waits for less or longer.
    public func stepClock(by duration: Duration) {
        host.stepClock(milliseconds: duration.plausibleMilliseconds)
    }

    /// Ends the server and starts it again: all connections are closed, and scripts are to be sent anew.
    ///
    /// - Parameter keepingData: Whether it has the same data as before, or none.
    public func restart(keepingData: Bool = true) {
        host.restart(keepingData: keepingData)
    }

    /// Lets the next attempts to connect fail, as if nobody listened.
    public func refuseConnections(_ count: Int = 1) {
        refusals.withLock { $0 += count }
    }
}

extension InMemoryRedis: Transport {
    package func connect(
        _ configuration: RedisConnection.Configuration,
        on eventLoop: any EventLoop,
        delegate: any ByteStreamDelegate
    ) async throws(RedisError) -> any ByteStream {
        let isRefused = refusals.withLock { refusals in
            defer { refusals = max(0, refusals - 1) }
            return refusals > 0
        }
        if isRefused { throw RedisError(.connectionRefused, "Refused by the test.") }
        return Stream(host: host, connection: host.connect(Peer(delegate: delegate)))
    }

    private struct Peer: RedisPeer {
        let delegate: any ByteStreamDelegate

        func received(_ bytes: ByteBuffer) { delegate.received(bytes) }
        func ended() { delegate.ended(with: nil) }
    }

    private final class Stream: ByteStream {
        private let host: RedisHost
        private let connection: RedisModel.ConnectionID

        init(host: RedisHost, connection: RedisModel.ConnectionID) {
            self.host = host
            self.connection = connection
        }

        func write(_ bytes: ByteBuffer) { host.received(bytes, from: connection) }
        func close() { host.closed(connection) }
        var localAddress: String? { connection.address }
    }
}
