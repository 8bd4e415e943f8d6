import Testing

@testable import RedisStreams
@testable import RedisStreamsTesting

// The commands of a consumer `ann` of the group `billing` on the stream `orders`.

/// The command for a page of the consumer's own pending list.
func recoveryPage(after id: String? = nil, count: Int = 100) -> [String] {
    ["XPENDING", "orders", "billing", id.map { "(\($0)" } ?? "-", "+", "\(count)", "ann"]
}

/// The command that calls a script by its SHA-1.
///
/// - Parameter targets: The keys after the stream.
func call(_ script: Script, targets: [String] = [], _ arguments: [String]) -> [String] {
    ["EVALSHA", script.sha1, "\(1 + targets.count)", "orders"] + targets + ["billing", "ann"] + arguments
}

func reclaim(_ ids: String..., mode: String = "uncrashed") -> [String] { call(.reclaim, [mode] + ids) }

func renew(_ ids: String...) -> [String] { call(.renew, ids) }

/// The command that acknowledges by the script which checks the owner.
func acknowledgeIfOwned(_ ids: String...) -> [String] { call(.acknowledge, ids) }

func requeue(_ id: String, idle: Int, count: Int) -> [String] { call(.requeue, [id, "\(idle)", "\(count)"]) }

func creation(after id: String) -> [String] { ["XGROUP", "CREATE", "orders", "billing", id, "MKSTREAM"] }

/// The command that takes a snapshot of the group.
let snapshotCall = call(.snapshot, [])

func claim(from id: String = "0-0", idle: Int = 30_000, count: Int = 100) -> [String] {
    ["XAUTOCLAIM", "orders", "billing", "ann", "\(idle)", id, "COUNT", "\(count)", "JUSTID"]
}

/// - Parameter block: The `BLOCK` time in milliseconds; `nil` for a read that does not wait.
func readNew(block: Int? = 5000, noAck: Bool = false, count: Int = 100) -> [String] {
    var command: [String] = ["XREADGROUP", "GROUP", "billing", "ann", "COUNT", "\(count)"]
    if let block { command += ["BLOCK", "\(block)"] }
    if noAck { command.append("NOACK") }
    return command + ["STREAMS", "orders", ">"]
}

func acknowledge(_ ids: String...) -> [String] { ["XACK", "orders", "billing"] + ids }

let noPending = "*0\r\n"

/// The reply of the script `deregister`: the consumer was removed.
///
/// - Parameter last: The last id of a full page, after which the script is to be called again.
func deregistered(last: String = "") -> String { array([":1\r\n", bulk(last), "*0\r\n"]) }

/// A consumer whose client is connected to the test, which acts as the server.
struct GroupPlay {
    let log: WriteLog
    /// Whether the test answers the handshakes, with the reply of `CLIENT ID`.
    private let answersClientID: Bool
    let events = Journal<ConsumerEvent>()
    private let connections = Journal<FakeConnection>()
    private let sharedConnections = Journal<FakeConnection>()
    private let reclaimConnections = Journal<FakeConnection>()
    private let servers = Journal<ScriptedServer>()
    let configuration: GroupConsumer.Configuration
    var client = RedisClient.Configuration.patient

    /// Creates a play whose consumer does not claim messages unless the test says so, reads as many messages as it may,
    /// however long its handlers take, and keeps them.
    init(answersClientID: Bool = false, _ change: (inout GroupConsumer.Configuration) -> Void = { _ in }) {
        var configuration = GroupConsumer.Configuration()
        configuration.claimInterval = .seconds(86_400)
        configuration.claimJitter = 0
        configuration.renewalInterval = .seconds(10)
        configuration.prefetchTime = .seconds(86_400)
        // These commands are sent at random times.
        configuration.safeguards.remove(.nameRemoval)
        configuration.safeguards.remove(.rightsProbe)
        configuration.safeguards.remove(.returnOverdue)
        let events = events
        configuration.onEvent = { events.record($0) }
        change(&configuration)
        self.configuration = configuration
        self.answersClientID = answersClientID
        log = WriteLog(answersHandshake: !answersClientID)
    }

    var transport: FakeTransport { log.base }
    var clock: ManualClock { log.base.clock }

    /// Waits for the next connection.
    func nextConnection() async -> FakeConnection {
        let connection = await transport.nextConnection()
        connections.record(connection)
        // The id is the number of the connection.
        if answersClientID { await connection.expectHandshake(id: connections.all.count) }
        return connection
    }

    /// Waits until reading is interrupted for the first time, and lets the time pass until the consumer tries again.
    func passInterruption() async throws {
        guard case .interrupted(_, let delay) = await events.wait(for: 1)[0] else { throw Unexpected() }
        await clock.advance(by: delay)
    }

    /// Returns the connection on which messages are reclaimed. The consumer opens it when it reclaims for the first
    /// time.
    func reclaiming() async -> FakeConnection {
        if let connection = reclaimConnections.all.first { return connection }
        let connection = await nextConnection()
        reclaimConnections.record(connection)
        return connection
    }

    /// Returns the connection that replaces the first lost one.
    func reconnection() async throws -> FakeConnection {
        // The client opens the connection while the time passes, so both run at the same time.
        async let passing: Void = passInterruption()
        let connection = await nextConnection()
        try await passing
        return connection
    }

    private struct Unexpected: Error {}

    /// The shared connection: the consumer sends commands on it that do not block, while its own connection may wait.
    var shared: FakeConnection { sharedConnections.all[0] }

    /// Opens the shared connection before the consumer starts, so that the next connections are those it reads on.
    private func openShared(of client: RedisClient) async throws {
        let pinging = Task { try await client.execute(PING()) }
        if servers.all.isEmpty {
            let shared = await nextConnection()
            sharedConnections.record(shared)
            await shared.expect(["PING"], answer: "+PONG\r\n")
        }
        _ = try await pinging.value
    }

    /// Expects a command on the shared connection, and moves the time until it arrives.
    func expectShared(
        _ command: [String]?,
        answer: String? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async {
        await clock.advance(by: .milliseconds(1)) { [shared] in
            await shared.expect(command, answer: answer, sourceLocation: sourceLocation)
        }
    }

    /// Answers every further command, such as the last acknowledgements.
    func answerTheRest() {
        for connection in connections.all { Self.answerAll(of: connection) }
        // A scripted server answers by itself until the end.
        guard servers.all.isEmpty else { return }
        Task { [transport] in
            while true { Self.answerAll(of: await transport.nextConnection()) }
        }
    }

    private static func answerAll(of connection: FakeConnection) {
        Task {
            while let command = await connection.nextCommand() { connection.send(GroupReplies.usual(to: command)) }
        }
    }

    /// Runs a client, and passes the consumer to `body`. Afterwards, answers every further command.
    func running<Result: Sendable>(_ body: (GroupConsumer) async throws -> Result) async throws -> Result {
        let client = try log.makeClient(client)
        return try await client.running { client in
            defer { answerTheRest() }
            if configuration.acknowledgement.keepsPending { try await openShared(of: client) }
            return try await body(consumer(of: client))
        }
    }

    func consumer(of client: RedisClient) -> GroupConsumer {
        GroupConsumer(client, stream: "orders", group: "billing", consumer: "ann", configuration: configuration)
    }

    /// Acts as the server during the start of a consumer that has nothing pending and claims nothing.
    ///
    /// - Parameters:
    ///   - delivered: The last id that the group has delivered.
    ///   - lowestPending: The lowest id that is pending for any consumer.
    ///   - idle: The lease in milliseconds.
    func start(
        delivered: String = "0-0",
        lowestPending: String? = nil,
        idle: Int = 30_000
    ) async -> FakeConnection {
        let server = await nextConnection()
        if configuration.acknowledgement.usesPendingList {
            let count = configuration.batchSize
            await server.expect(recoveryPage(count: min(count, 100)), answer: noPending)
            await server.expectSnapshot(delivered: delivered, lowestPending: lowestPending)
            if configuration.effectiveClaimInterval != nil {
                await server.expect(claim(idle: idle, count: min(count, 100)), answer: claimed())
            }
        }
        return server
    }

    /// Runs a consumer that gets the message 1-0, and whose handler fails while the next read waits.
    func runFailingHandler(_ consumer: GroupConsumer) async -> Task<Void, any Error> {
        let gate = Gate()
        let running = Task {
            try await consumer.run { _ in
                await gate.wait()
                throw Failed()
            }
        }
        let server = await start()
        await server.expect(readNew(), answer: batch(entry("1-0")))
        await server.expect(readNew())
        gate.open()
        return running
    }

    /// Lets a blocked read return nothing after some seconds. The claim scan that is due then finds `ids`, while the
    /// next read waits.
    func idle(forSeconds seconds: Int, thenClaim ids: [String], on server: FakeConnection) async {
        await clock.advance(by: .seconds(seconds))
        server.send(nothing)
        await server.expect(claim(), answer: claimed(ids))
        await server.expect(readNew(block: seconds * 1000))
    }

    /// Runs a loop that has handled the first two of three messages, and has begun the third. The acknowledgement of
    /// the first was sent, and the server does not answer, so the consumer does not know whether it was executed.
    func untilAcknowledgementIsUnanswered(
        by consumer: GroupConsumer
    ) async -> (server: FakeConnection, loop: Task<Void, any Error>, handled: Journal<String>) {
        let handled = Journal<String>()
        let gates: [String: Gate] = ["1-0": Gate(), "2-0": Gate()]
        let loop = Task {
            for try await message in consumer {
                handled.record(message.name)
                await gates[message.name]?.wait()
            }
        }
        let server = await start()
        await server.expect(readNew(), answer: batch(entry("1-0"), entry("2-0")))
        await server.expect(readNew())
        gates["1-0"]?.open()
        _ = await handled.wait(for: 2)
        server.send(batch(entry("3-0")))
        await server.expect(acknowledge("1-0"))
        await server.expect(readNew())
        gates["2-0"]?.open()
        _ = await handled.wait(for: 3)
        return (server, loop, handled)
    }

    /// Answers by itself: new messages from `new`, nothing pending but `pending`, nothing to claim but `claims`.
    func serve(
        new: Replies,
        pending: Replies = Replies(),
        claims: Replies = Replies(),
        reclaimed: Replies = Replies()
    ) -> ScriptedServer {
        let server = ScriptedServer(on: transport) { command in
            switch command.first {
            // A read without `BLOCK` needs a reply even when there is nothing.
            case "XREADGROUP": new.next() ?? (command.contains("BLOCK") ? nil : nothing)
            case "XPENDING" where command.count > 3: pending.next() ?? noPending
            case "XAUTOCLAIM": claims.next() ?? claimed()
            case "EVALSHA" where command[1] == Script.reclaim.sha1: reclaimed.next() ?? GroupReplies.usual(to: command)
            default: GroupReplies.usual(to: command)
            }
        }
        servers.record(server)
        for connection in sharedConnections.all { server.serve(connection) }
        return server
    }
}

/// The replies of a server where nothing special happens.
enum GroupReplies {
    static func usual(to command: [String]) -> String {
        switch command.first {
        case "XPENDING": noPending
        case "XREADGROUP": nothing
        case "XGROUP": "+OK\r\n"
        case "XAUTOCLAIM": claimed()
        case "EVALSHA": script(command[1], Array(command.dropFirst(3 + (Int(command[2]) ?? 0) + 2)))
        case "PING": "+PONG\r\n"
        case "XACK": ":\(command.count - 3)\r\n"
        default: ":1\r\n"
        }
    }

    private static func script(_ sha1: String, _ arguments: [String]) -> String {
        switch sha1 {
        case Script.renew.sha1: renewed()
        case Script.requeue.sha1: "*0\r\n"
        case Script.deregister.sha1: deregistered()
        case Script.removeNames.sha1: "*2\r\n*0\r\n:1\r\n"
        case Script.snapshot.sha1: groupSnapshot(delivered: "0-0")
        case Script.probe.sha1: probed(last: "0-0")
        case Script.publish.sha1: array([bulk("1-1")])
        case Script.reclaim.sha1: reclaimed(arguments.dropFirst().map { ($0, 1) })
        case Script.acknowledge.sha1: ":\(arguments.count)\r\n"
        default: ":1\r\n"
        }
    }
}

extension FakeConnection {
    /// Returns the next command that is not part of a snapshot of the group, and answers those that are.
    func nextBesidesSnapshots() async -> [String]? {
        while let command = await nextCommand() {
            guard command == snapshotCall || command.first == "XPENDING" else { return command }
            send(GroupReplies.usual(to: command))
        }
        return nil
    }

    /// Acts as the server while the consumer creates a lost group, in a stream that ends with `last`.
    func expectCreation(
        after id: String,
        last: String,
        answer: String = "+OK\r\n",
        sourceLocation: SourceLocation = #_sourceLocation
    ) async {
        await expect(probe(), answer: probed(last: last), sourceLocation: sourceLocation)
        await expect(creation(after: id), answer: answer, sourceLocation: sourceLocation)
    }

    /// Acts as the server while the consumer takes a snapshot of its group, which has delivered everything up to
    /// `delivered`.
    func expectSnapshot(
        delivered: String = "0-0",
        lowestPending: String? = nil,
        last: String? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async {
        let answer = groupSnapshot(delivered: delivered, lowestPending: lowestPending, last: last ?? delivered)
        await expect(snapshotCall, answer: answer, sourceLocation: sourceLocation)
    }
}

extension ManualClock {
    /// Runs tasks and timers until nothing is left to do without further input.
    func calmDown() async {
        for _ in 0..<50 {
            await settle()
            await Task.yield()
        }
    }
}

extension GroupMessage {
    /// The text of the id.
    var name: String { "\(id)" }
}
