import Logging
import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import RedisStreams
@testable import RedisStreamsTesting

/// A connection that belongs to no client, and the server's end of it.
struct Line {
    let log: WriteLog
    let connection: RedisConnection
    let server: FakeConnection

    var clock: ManualClock { log.base.clock }

    /// Opens a connection. Its handshake is already answered.
    static func open(_ configuration: RedisConnection.Configuration = .init()) async throws -> Line {
        let log = WriteLog()
        let connection = try await log.connectAlone(configuration)
        return Line(log: log, connection: connection, server: await log.base.nextConnection())
    }

    /// Runs `begin` in one turn of the event loop, and lets the connection send the commands.
    func inOneTurn(
        _ begin: @escaping @Sendable (RedisConnection) -> [PendingReplies]
    ) async throws -> [PendingReplies] {
        let connection = connection
        let pending = try await clock.eventLoop.executeInContext { begin(connection) }
        await clock.settle()
        return pending
    }
}

extension WriteLog {
    /// Returns a client whose connections go through this transport.
    func makeClient(_ configuration: RedisClient.Configuration = .init()) throws(RedisError) -> RedisClient {
        try RedisClient(
            configuration,
            transport: self,
            logger: LogJournal().logger,
            eventLoopGroup: base.clock.eventLoop
        )
    }

    /// A connection that belongs to no client.
    func connectAlone(_ configuration: RedisConnection.Configuration = .init()) async throws -> RedisConnection {
        try await base.connectAlone(configuration, through: self)
    }
}

extension FakeTransport {
    /// A connection that belongs to no client.
    func connectAlone(
        _ configuration: RedisConnection.Configuration = .init(),
        through transport: (any Transport)? = nil,
        instruments: Instruments = Instruments()
    ) async throws -> RedisConnection {
        try await RedisConnection.connect(
            configuration,
            transport: transport ?? self,
            on: clock.eventLoop,
            instruments: instruments
        )
    }
}

extension FakeConnection {
    /// Expects a command, and answers it.
    func expect(
        _ command: [String]?,
        answer: String? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async {
        let actual = await nextCommand()
        #expect(actual == command, sourceLocation: sourceLocation)
        if let answer { send(answer) }
    }

    /// Expects the end of a handshake, and answers it.
    func expectHandshake(
        id: Int = 7,
        answer: String = "+PONG\r\n",
        sourceLocation: SourceLocation = #_sourceLocation
    ) async {
        await expect(["CLIENT", "ID"], answer: ":\(id)\r\n", sourceLocation: sourceLocation)
        await expect(["PING"], answer: answer, sourceLocation: sourceLocation)
    }

    /// Expects the client to close the connection.
    func expectClose(sourceLocation: SourceLocation = #_sourceLocation) async {
        await expect(nil, sourceLocation: sourceLocation)
    }
}

/// A transport that records which commands are sent in one write.
final class WriteLog: Transport {
    let base: FakeTransport
    private let writes = Mutex<[ByteBuffer]>([])
    private let suspended = Mutex(TimeAmount.zero)
    private let writeHandler = Mutex<(@Sendable ([String]) -> Void)?>(nil)

    init(answersHandshake: Bool = true) {
        base = FakeTransport(answersHandshake: answersHandshake)
    }

    /// For each write with several commands: their names. Handshakes that consist only of `CLIENT` and `PING` are left
    /// out.
    var joined: [[String]] {
        writes.withLock { $0 }.map(Self.commands).filter { $0.count > 1 && $0 != ["CLIENT", "PING"] }
    }

    /// The names of all commands, in the order in which they were sent.
    var names: [String] { writes.withLock { $0 }.flatMap(Self.commands) }

    /// Calls `handler` with the names of the commands of each write from now on.
    func onWrite(_ handler: @escaping @Sendable ([String]) -> Void) {
        writeHandler.withLock { $0 = handler }
    }

    /// Acts as if the machine was suspended for `time`: timers do not count that time, and leases do.
    func suspend(for time: TimeAmount) { suspended.withLock { $0 = $0 + time } }

    var leaseClock: LeaseClock { LeaseClock { $0.now + self.suspended.withLock { $0 } } }

    private func record(_ write: ByteBuffer) {
        writes.withLock { $0.append(write) }
        writeHandler.withLock { $0 }?(Self.commands(of: write))
    }

    func connect(
        _ configuration: RedisConnection.Configuration,
        on eventLoop: any EventLoop,
        delegate: any ByteStreamDelegate
    ) async throws(RedisError) -> any ByteStream {
        Stream(base: try await base.connect(configuration, on: eventLoop, delegate: delegate), log: self)
    }

    private static func commands(of write: ByteBuffer) -> [String] {
        var reader = RESPReader()
        var names: [String] = []
        try? reader.take(write.readableBytesView) { reply in
            names.append(reply.array.map(Array.init)?.first?.string ?? "?")
        }
        return names
    }

    private final class Stream: ByteStream {
        private let base: any ByteStream
        private let log: WriteLog

        init(base: any ByteStream, log: WriteLog) {
            self.base = base
            self.log = log
        }

        func write(_ bytes: ByteBuffer) {
            log.record(bytes)
            base.write(bytes)
        }

        func close() { base.close() }

        var localAddress: String? { base.localAddress }
    }
}
