import Logging
import NIOCore
import Testing

@testable import RedisStreams
@testable import RedisStreamsTesting

@Suite(.limitedTime) struct InstrumentTests {
    @Test func `An instrument is asked only for the hooks that it has`() {
        let all = Instruments([HookRecorder(), OnlyPools()])
        #expect(all.commands.count == 1)
        #expect(all.connections.count == 1)
        #expect(all.pools.count == 2)
        #expect(all.deliveries.count == 1)
        #expect(all.settlements.count == 1)
        // What it has not implemented does nothing.
        for pool in all.pools { pool.connectionLeased(isNew: true) }
        for command in Instruments().commands { Issue.record("nobody listens: \(command)") }
    }

    @Test func `A connection reports that it opened, each command, and its end`() async throws {
        let recorder = HookRecorder()
        let transport = FakeTransport()
        let connection = try await transport.connectAlone(instruments: Instruments([recorder]))
        let server = await transport.nextConnection()
        async let length = connection.xlen("orders")
        await server.expect(["XLEN", "orders"])
        await transport.clock.advance(by: .milliseconds(5))
        server.send(":1\r\n")
        _ = try await length
        async let refused = caught { try await connection.xlen("orders") }
        await server.expect(["XLEN", "orders"], answer: "-LOADING Redis is loading\r\n")
        _ = await refused
        async let lost = caught { try await connection.xlen("orders") }
        await server.expect(["XLEN", "orders"])
        server.close()
        _ = await lost
        #expect(
            await recorder.lines.wait(for: 7) == [
                "CLIENT ID ended after 0.0 seconds", "PING ended after 0.0 seconds",
                "opened to 127.0.0.1:6379",
                "XLEN ended after 0.005 seconds", "XLEN ended after 0.0 seconds: loading",
                "ended because of connectionClosed with 1 pending",
                "XLEN ended after 0.0 seconds: connectionClosed",
            ]
        )
    }

    @Test func `A pool reports failures to connect, who waited, and leases`() async throws {
        let recorder = HookRecorder()
        let transport = FakeTransport()
        transport.refuseNextConnection()
        let redis = try RedisClient(
            .init(),
            transport: transport,
            logger: LogJournal().logger,
            eventLoopGroup: transport.clock.eventLoop,
            randomness: { 1 },
            instruments: [recorder.only("could", "waited", "leased", "released", "retired")]
        )
        try await redis.running { redis in
            async let length = redis.xlen("orders")
            _ = await recorder.lines.wait(for: 1)
            await transport.clock.advance(by: .milliseconds(50))
            let server = await transport.nextConnection()
            await server.expect(["XLEN", "orders"], answer: ":1\r\n")
            _ = try await length
            _ = try await redis.withConnection { _ in }
            _ = try await redis.withConnection { _ in }
            redis.router.node?.serverIsNotMaster()
        }
        #expect(
            recorder.lines.all == [
                "could not connect: connectionRefused, attempt 1, again in 0.05 seconds",
                "waited for shared for 0.05 seconds",
                "leased, new: true", "released, kept: true", "leased, new: false", "released, kept: true", "retired 2",
            ]
        )
    }

    @Test func `The log warns of a server that cannot be reached at once, each minute, and never behind a connection`()
    {
        let lines = LogLines()
        let log = ConnectionLog(lines.logger)
        for second in [0, 30, 59, 60, 119, 120] {
            log.connectingFailed(failure(at: second))
        }
        log.connectionOpened(ConnectionReport(endpoint: "redis:6379", clientID: 7, connectDuration: .zero))
        log.connectingFailed(failure(at: 600))
        // Its caller has the error.
        log.connectingFailed(failure(at: 700, retryAfter: nil))
        let levels = lines.lines("could not connect").map(\.level)
        #expect(levels == [.warning, .debug, .debug, .warning, .debug, .warning, .debug])
    }

    @Test(arguments: [(.timeout, []), (.protocolViolation, ["protocol violation"])] as [(RedisError.Code, [String])])
    func `The log says more of a peer that breaks the protocol`(code: RedisError.Code, expected: [String]) {
        let lines = LogLines()
        let connection = ConnectionReport(endpoint: "redis:6379", clientID: nil, connectDuration: .zero)
        let end = ConnectionEnd(connection: connection, reason: RedisError(code, "test"), pendingCommands: 2)
        ConnectionLog(lines.logger).connectionEnded(end)
        #expect(lines.all.map(\.text) == expected)
        #expect(
            lines.lines("connection ended").map(\.metadata) == [
                [LogKey.reason: "\(code)", LogKey.pending: "2"]
            ]
        )
    }

    private func failure(at second: Int, retryAfter: Duration? = .zero) -> ConnectingFailure {
        let error = RedisError(.connectionRefused, "Nobody listens.")
        let time = NIODeadline.uptimeNanoseconds(UInt64(second) * 1_000_000_000)
        return ConnectingFailure(error: error, attempt: 1, retryAfter: retryAfter, time: time)
    }
}

private struct OnlyPools: PoolInstrument {}

/// Notes which hooks are called, in words.
struct HookRecorder: Sendable {
    let lines = Journal<String>()
    private var beginnings: [String] = []

    /// The same, for lines that begin with one of these words.
    func only(_ beginnings: String...) -> HookRecorder {
        var copy = self
        copy.beginnings = beginnings
        return copy
    }

    fileprivate func note(_ line: String) {
        if beginnings.isEmpty || beginnings.contains(where: line.hasPrefix) { lines.record(line) }
    }
}

extension HookRecorder: CommandInstrument, ConnectionInstrument, PoolInstrument {
    func commandEnded(_ command: CommandReport) {
        note("\(command.name) ended after \(command.duration)\(command.error.map { ": \($0.code)" } ?? "")")
    }

    func connectionOpened(_ connection: ConnectionReport) { note("opened to \(connection.endpoint)") }

    func connectingFailed(_ failure: ConnectingFailure) {
        let next = failure.retryAfter.map { "again in \($0)" } ?? "the last one"
        note("could not connect: \(failure.error.code), attempt \(failure.attempt), \(next)")
    }

    func connectionEnded(_ end: ConnectionEnd) {
        note("ended because of \(end.reason.code) with \(end.pendingCommands) pending")
    }

    func callerWaited(_ wait: PoolWait) {
        note("waited for \(wait.kind) for \(wait.duration)\(wait.error.map { ": \($0.code)" } ?? "")")
    }

    func connectionLeased(isNew: Bool) { note("leased, new: \(isNew)") }
    func connectionReleased(isKept: Bool) { note("released, kept: \(isKept)") }
    func connectionsRetired(count: Int) { note("retired \(count)") }
}

extension HookRecorder: DeliveryInstrument, SettlementInstrument {
    func delivered(_ count: Int) { note("delivered \(count)") }
    func redelivered(_ count: Int) { note("redelivered \(count)") }
    func claimed(_ count: Int) { note("claimed \(count)") }
    func ready() { note("ready") }
    func groupCreated(after position: StreamID, wasLost: Bool) { note("group after \(position), lost: \(wasLost)") }
    func interrupted(by error: RedisError, retryAfter delay: Duration) { note("interrupted \(error.code) \(delay)") }
    func reconnected() { note("reconnected") }
    func trimmedUnread(_ count: Int?, after: StreamID, before: StreamID) {
        note("trimmed \(count ?? -1) \(after) \(before)")
    }
    func discontinued(_ discontinuity: Discontinuity) { note("discontinued \(discontinuity.kind)") }
    func unreadable(_ id: StreamID, in stream: StreamKey, because reason: String) {
        note("unreadable \(id) \(stream) \(reason)")
    }
    func consumersRemoved(_ names: [String]) { note("removed \(names)") }
    func rightsMissing(_ commands: [String]) { note("rights \(commands)") }
    func acknowledged(_ count: Int) { note("acknowledged \(count)") }
    func failed(_ id: StreamID) { note("failed \(id)") }
    func retrying(_ id: StreamID, failures: Int, after delay: Duration, because reason: String?) {
        note("retrying \(id) \(failures) \(delay) \(reason ?? "-")")
    }
    func deadLettered(_ id: StreamID, entry: StreamID?, because reason: String) {
        note("dead-lettered \(id) \(entry.map { "\($0)" } ?? "-") \(reason)")
    }
    func rejected(_ id: StreamID, because reason: String) { note("rejected \(id) \(reason)") }
    func returned(_ count: Int) { note("returned \(count)") }
    func leaseLost(_ ids: [StreamID]) { note("lost \(ids.count)") }
    func claimedEarly(_ ids: [StreamID], by consumer: String) { note("claimed early \(ids.count) \(consumer)") }
    func deleted(_ ids: [StreamID]) { note("deleted \(ids.count)") }
    func unsettled(_ ids: [StreamID]) { note("unsettled \(ids.count)") }
    func handlerRunsLong(_ id: StreamID, for time: Duration) { note("runs long \(id) \(time)") }
}
