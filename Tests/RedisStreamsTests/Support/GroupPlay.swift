import Testing

@testable import RedisStreams
@testable import RedisStreamsTesting

// The commands of a consumer `ann` of the group `billing` on the stream `orders`.

func readPending(after id: String = "0-0", count: Int = 100) -> [String] {
    ["XREADGROUP", "GROUP", "billing", "ann", "COUNT", "\(count)", "STREAMS", "orders", id]
}

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

let noPending = batch()

/// A consumer of a client on a transport that a test plays the server of.
struct GroupPlay {
    let log = WriteLog()
    let events = Journal<ConsumerEvent>()
    private let connections = Journal<FakeConnection>()
    private let servers = Journal<ScriptedServer>()
    let configuration: GroupConsumer.Configuration
    var client = RedisClient.Configuration.patient

    /// Never claims by itself, unless the test says so.
    init(_ change: (inout GroupConsumer.Configuration) -> Void = { _ in }) {
        var configuration = GroupConsumer.Configuration()
        configuration.claimInterval = .seconds(86_400)
        configuration.claimJitter = 0
        let events = events
        configuration.onEvent = { events.record($0) }
        change(&configuration)
        self.configuration = configuration
    }

    var transport: FakeTransport { log.base }
    var clock: ManualClock { log.base.clock }

    /// The next connection that is made.
    func nextConnection() async -> FakeConnection {
        let connection = await transport.nextConnection()
        connections.record(connection)
        return connection
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
            while await connection.nextCommand() != nil { connection.send(":1\r\n") }
        }
    }

    /// Runs a client, and gives `body` the consumer. What still comes when that is done is answered.
    func running<Result: Sendable>(_ body: (GroupConsumer) async throws -> Result) async throws -> Result {
        let client = try log.makeClient(client)
        return try await client.running { client in
            defer { answerTheRest() }
            return try await body(consumer(of: client))
        }
    }

    func consumer(of client: RedisClient) -> GroupConsumer {
        GroupConsumer(client, stream: "orders", group: "billing", consumer: "ann", configuration: configuration)
    }

    /// Plays the start of a consumer that has nothing pending and claims nothing.
    func start() async -> FakeConnection {
        let server = await nextConnection()
        if configuration.acknowledgement.usesPendingList {
            let count = configuration.batchSize
            await server.expect(readPending(count: count), answer: noPending)
            if configuration.effectiveClaimInterval != nil {
                await server.expect(claim(count: min(count, 100)), answer: claimed())
            }
        }
        return server
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
    func serve(new: Replies, pending: Replies = Replies(), claims: Replies = Replies()) -> ScriptedServer {
        let server = ScriptedServer(on: transport) { command in
            switch command.first {
            case "XREADGROUP" where command.last == ">":
                // Whoever asks without waiting has to be told that there is nothing.
                new.next() ?? (command.contains("BLOCK") ? nil : nothing)
            case "XREADGROUP": pending.next() ?? noPending
            case "XAUTOCLAIM": claims.next() ?? claimed()
            default: ":1\r\n"
            }
        }
        servers.record(server)
        return server
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
