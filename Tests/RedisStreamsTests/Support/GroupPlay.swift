import Testing

@testable import RedisStreams
@testable import RedisStreamsTesting

// The commands of a consumer `ann` of the group `billing` on the stream `orders`.

/// A page of what is pending for the consumer itself.
func recoveryPage(after id: String? = nil, count: Int = 100) -> [String] {
    ["XPENDING", "orders", "billing", id.map { "(\($0)" } ?? "-", "+", "\(count)", "ann"]
}

/// A call of a script by its SHA-1.
///
/// - Parameter targets: The keys behind the stream.
func call(_ script: Script, targets: [String] = [], _ arguments: [String]) -> [String] {
    ["EVALSHA", script.sha1, "\(1 + targets.count)", "orders"] + targets + ["billing", "ann"] + arguments
}

func take(_ ids: String..., mode: String = "fair") -> [String] { call(.reclaim, [mode] + ids) }

func renew(_ ids: String...) -> [String] { call(.renew, ids) }

/// An acknowledgement by the script that looks at the owner.
func acknowledgeIfOwned(_ ids: String...) -> [String] { call(.acknowledge, ids) }

func requeue(_ id: String, idle: Int, count: Int) -> [String] { call(.requeue, [id, "\(idle)", "\(count)"]) }

func creation(after id: String) -> [String] { ["XGROUP", "CREATE", "orders", "billing", id, "MKSTREAM"] }

/// A look at the group.
let lookAtGroup = call(.snapshot, [])

func claim(from id: String = "0-0", idle: Int = 30_000, count: Int = 100) -> [String] {
    ["XAUTOCLAIM", "orders", "billing", "ann", "\(idle)", id, "COUNT", "\(count)", "JUSTID"]
}

/// - Parameter block: In milliseconds; `nil` for a read that does not wait.
func readNew(block: Int? = 5000, noAck: Bool = false, count: Int = 100) -> [String] {
    var command: [String] = ["XREADGROUP", "GROUP", "billing", "ann", "COUNT", "\(count)"]
    if let block { command += ["BLOCK", "\(block)"] }
    if noAck { command.append("NOACK") }
    return command + ["STREAMS", "orders", ">"]
}

func acknowledge(_ ids: String...) -> [String] { ["XACK", "orders", "billing"] + ids }

let noPending = "*0\r\n"

/// What the script `leave` returns: that the consumer was removed.
///
/// - Parameter last: The last id of a full page, behind which it is to be called again.
func hasLeft(last: String = "") -> String { array([":1\r\n", bulk(last), "*0\r\n"]) }

/// A consumer of a client on a transport that a test plays the server of.
struct GroupPlay {
    let log: WriteLog
    /// Whether the server tells connections what it calls them. Then this play greets them.
    private let tellsIDs: Bool
    let events = Journal<ConsumerEvent>()
    private let connections = Journal<FakeConnection>()
    private let sharedConnections = Journal<FakeConnection>()
    private let reclaimConnections = Journal<FakeConnection>()
    private let servers = Journal<ScriptedServer>()
    let configuration: GroupConsumer.Configuration
    var client = RedisClient.Configuration.patient

    /// Never claims by itself, unless the test says so; and reads as much as it may, however long its handlers take, and
    /// keeps it.
    init(tellsIDs: Bool = false, _ change: (inout GroupConsumer.Configuration) -> Void = { _ in }) {
        var configuration = GroupConsumer.Configuration()
        configuration.claimInterval = .seconds(86_400)
        configuration.claimJitter = 0
        configuration.renewalInterval = .seconds(10)
        configuration.prefetchTime = .seconds(86_400)
        // By chance, this could come at any time.
        configuration.safeguards.remove(.nameRemoval)
        configuration.safeguards.remove(.rightsProbe)
        configuration.safeguards.remove(.giveBack)
        let events = events
        configuration.onEvent = { events.record($0) }
        change(&configuration)
        self.configuration = configuration
        self.tellsIDs = tellsIDs
        log = WriteLog(answersHandshake: !tellsIDs)
    }

    var transport: FakeTransport { log.base }
    var clock: ManualClock { log.base.clock }

    /// The next connection that is made.
    func nextConnection() async -> FakeConnection {
        let connection = await transport.nextConnection()
        connections.record(connection)
        // As many as there have been.
        if tellsIDs { await connection.expectHandshake(id: connections.all.count) }
        return connection
    }

    /// Waits until reading is interrupted for the first time, and lets the time pass until it is tried again.
    func passInterruption() async throws {
        guard case .interrupted(_, let delay) = await events.wait(for: 1)[0] else { throw Unexpected() }
        await clock.advance(by: delay)
    }

    /// The connection over which messages are reclaimed: it is made when there are some for the first time.
    func reclaiming() async -> FakeConnection {
        if let connection = reclaimConnections.all.first { return connection }
        let connection = await nextConnection()
        reclaimConnections.record(connection)
        return connection
    }

    /// The connection that takes the place of the first one that was lost.
    func reconnection() async throws -> FakeConnection {
        // A connection that is opened is waited for.
        async let passing: Void = passInterruption()
        let connection = await nextConnection()
        try await passing
        return connection
    }

    private struct Unexpected: Error {}

    /// The connection over which everything goes that does not block, while the consumer's own may wait.
    var shared: FakeConnection { sharedConnections.all[0] }

    /// Has that made before the consumer begins, so that what comes then are connections to read on.
    private func openShared(of client: RedisClient) async throws {
        let pinging = Task { try await client.execute(PING()) }
        if servers.all.isEmpty {
            let shared = await nextConnection()
            sharedConnections.record(shared)
            await shared.expect(["PING"], answer: "+PONG\r\n")
        }
        _ = try await pinging.value
    }

    /// Expects a command on the shared connection, some milliseconds from now.
    func expectShared(
        _ command: [String]?,
        answer: String? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async {
        await clock.advance(by: .milliseconds(1)) { [shared] in
            await shared.expect(command, answer: answer, sourceLocation: sourceLocation)
        }
    }

    /// Answers everything that still comes: the last acknowledgements.
    func answerTheRest() {
        for connection in connections.all { Self.answerAll(of: connection) }
        // A server that goes on by itself does so to the end.
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

    /// Runs a client, and gives `body` the consumer. What still comes when that is done is answered.
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

    /// Plays the start of a consumer that has nothing pending and claims nothing.
    ///
    /// - Parameters:
    ///   - delivered: Up to where the group has handed out its messages.
    ///   - lowestPending: The first message that is pending for anybody.
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
            await server.expectLook(delivered: delivered, lowestPending: lowestPending)
            if configuration.effectiveClaimInterval != nil {
                await server.expect(claim(idle: idle, count: min(count, 100)), answer: claimed())
            }
        }
        return server
    }

    /// Plays that a read which waits brings nothing for some seconds, and the claim that is due then these, while the next
    /// read waits.
    func idle(forSeconds seconds: Int, thenClaim ids: [String], on server: FakeConnection) async {
        await clock.advance(by: .seconds(seconds))
        server.send(nothing)
        await server.expect(claim(), answer: claimed(ids))
        await server.expect(readNew(block: seconds * 1000))
    }

    /// Plays a loop that has handled the first two of three messages, and begun with the third. The acknowledgement of
    /// the first was sent, and nobody answers, so that it is not known what has become of it.
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

    /// Plays a server that goes on by itself: new messages from `new`, nothing pending but `pending`, nothing to claim.
    func serve(
        new: Replies,
        pending: Replies = Replies(),
        claims: Replies = Replies(),
        taken: Replies = Replies()
    ) -> ScriptedServer {
        let server = ScriptedServer(on: transport) { command in
            switch command.first {
            // Whoever asks without waiting has to be told that there is nothing.
            case "XREADGROUP": new.next() ?? (command.contains("BLOCK") ? nil : nothing)
            case "XPENDING" where command.count > 3: pending.next() ?? noPending
            case "XAUTOCLAIM": claims.next() ?? claimed()
            case "EVALSHA" where command[1] == Script.reclaim.sha1: taken.next() ?? GroupReplies.usual(to: command)
            default: GroupReplies.usual(to: command)
            }
        }
        servers.record(server)
        for connection in sharedConnections.all { server.serve(connection) }
        return server
    }
}

/// What a server replies to whom nothing happens to.
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
        case Script.deregister.sha1: hasLeft()
        case Script.removeNames.sha1: "*2\r\n*0\r\n:1\r\n"
        case Script.snapshot.sha1: groupSnapshot(delivered: "0-0")
        case Script.probe.sha1: probed(last: "0-0")
        case Script.publish.sha1: array([bulk("1-1")])
        case Script.reclaim.sha1: taken(arguments.dropFirst().map { ($0, 1) })
        case Script.acknowledge.sha1: ":\(arguments.count)\r\n"
        default: ":1\r\n"
        }
    }
}

extension FakeConnection {
    /// The next command that is not one of those by which a consumer looks after its group, which are answered.
    func nextBesidesLooks() async -> [String]? {
        while let command = await nextCommand() {
            guard command == lookAtGroup || command.first == "XPENDING" else { return command }
            send(GroupReplies.usual(to: command))
        }
        return nil
    }

    /// Plays that a lost group is created, in a stream that ends with `last`.
    func expectCreation(
        after id: String,
        last: String,
        answer: String = "+OK\r\n",
        sourceLocation: SourceLocation = #_sourceLocation
    ) async {
        await expect(probe(), answer: probed(last: last), sourceLocation: sourceLocation)
        await expect(creation(after: id), answer: answer, sourceLocation: sourceLocation)
    }

    /// Plays that a consumer looks after its group, of which everything up to `delivered` was handed out.
    func expectLook(
        delivered: String = "0-0",
        lowestPending: String? = nil,
        last: String? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async {
        let answer = groupSnapshot(delivered: delivered, lowestPending: lowestPending, last: last ?? delivered)
        await expect(lookAtGroup, answer: answer, sourceLocation: sourceLocation)
    }
}

extension ManualClock {
    /// Does everything that is to be done without anybody else doing something.
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
