public import Logging
package import NIOCore
public import RedisStreams
internal import Synchronization

/// A Redis server in the process, for tests of code that uses streams: no server to start, and no time to wait.
///
/// It behaves like a real server of the chosen version: all stream commands with their errors, blocking reads, groups
/// and pending lists, transactions, expiry, and the scripts that this library sends. Its clients are ordinary clients,
/// which speak RESP to it as they do over a socket. Time stands still until the test moves it.
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
/// `swift run in-memory-redis --port 6380` runs the same server on a port, for other clients.
///
/// It does not have Lua (it refuses scripts other than the library's), access control lists, replicas, persistence,
/// and data types other than streams, strings and hashes. ``InMemoryCluster`` is a cluster of such servers.
public final class InMemoryRedis: Sendable {
    /// The server that it behaves like.
    public let version: Version

    /// The clock of this server and of its clients.
    public let clock = ManualClock()

    private let host: RedisHost
    private let refusals = Mutex(0)

    /// Creates an empty server.
    ///
    /// - Parameters:
    ///   - version: The server that it behaves like. Default: Redis 7.0.
    ///   - password: The password that clients have to send. Default: `nil`, which accepts every client.
    ///   - milliseconds: The time of its clock, since 1970. Default: a moment in November 2023.
    public init(
        version: Version = .redis7_0,
        password: String? = nil,
        startingAt milliseconds: Int = 1_700_000_000_000
    ) {
        self.version = version
        host = RedisHost(version: version, password: password, wallTime: milliseconds, eventLoop: clock.eventLoop)
    }

    // MARK: Clients

    /// Returns a client of this server. Like every client, it works while its `run()` does.
    ///
    /// - Throws: `RedisError` for an invalid configuration.
    public func makeClient(
        _ configuration: RedisClient.Configuration = .init(),
        logger: Logger = Logger(label: "in-memory", factory: { _ in SwiftLogNoOpLogHandler() })
    ) throws(RedisError) -> RedisClient {
        try RedisClient(configuration, transport: self, logger: logger, eventLoopGroup: clock.eventLoop)
    }

    /// Runs a client of this server, and passes it to `body`.
    public func withClient<Result: Sendable>(
        _ configuration: RedisClient.Configuration = .init(),
        isolation: isolated (any Actor)? = #isolation,
        _ body: (RedisClient) async throws -> Result
    ) async throws -> Result {
        try await makeClient(configuration).running(body)
    }

    // MARK: Faults

    /// Injects a fault into commands that arrive from now on.
    ///
    /// ```swift
    /// let fault = server.inject(.closeAfterExecuting, on: "XREADGROUP", nth: 2)
    /// …
    /// #expect(fault.fired == 1)
    /// ```
    ///
    /// If several faults match the same command, the one that was injected first applies.
    ///
    /// - Parameters:
    ///   - kind: What goes wrong.
    ///   - command: The name of the command, with the subcommand if that matters: `XADD`, `XGROUP CREATE`. Default:
    ///     any.
    ///   - nth: The first of those commands to which the fault happens, counted from now on. Default: the first.
    ///   - times: How many of them it happens to, one after the other. Default: one.
    /// - Returns: The fault, which counts how often it has happened.
    @discardableResult
    public func inject(_ kind: Fault.Kind, on command: String? = nil, nth: Int = 1, times: Int = 1) -> Fault {
        let fault = Fault(kind, on: command, nth: nth, times: times)
        host.add(fault)
        return fault
    }

    /// Makes the server's clock jump, forward or back. Ids, idle times and expiry follow that clock; the time that
    /// blocked commands wait does not.
    public func stepClock(by duration: Duration) {
        host.stepClock(milliseconds: duration.plausibleMilliseconds)
    }

    /// Restarts the server: it closes all connections, and forgets all scripts.
    ///
    /// - Parameter keepingData: Whether the server keeps its data.
    public func restart(keepingData: Bool = true) {
        host.restart(keepingData: keepingData)
    }

    /// Makes so many replicas confirm each write, for `WAIT` and `WAITAOF`, from now on; what waits for no more than these
    /// ends. There are no replicas, so at first none confirms anything, and `WAIT 1 …` returns 0 when its time is over.
    ///
    /// `WAITAOF` finds an append-only file after `CONFIG SET appendonly yes`.
    public func setConfirmingReplicas(_ count: Int) {
        host.setConfirmingReplicas(max(0, count))
    }

    /// Makes the next connection attempts fail, as if no server listened.
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
        return HostedStream(host: host, connection: host.connect(HostedPeer(delegate: delegate)))
    }
}
