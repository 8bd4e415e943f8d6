import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// Entries that a stream consumer cannot read.
@Suite(.limitedTime) struct StreamUnreadableTests {
    @Test func `An entry that is too large is reported, counted and skipped, and the others are read`() async throws {
        let server = InMemoryRedis()
        try await server.withClient(Self.limited) { redis in
            try await Self.add(to: "orders", large: [3, 4, 40], of: 60, redis)
            let start = StreamConsumer.Start.resume("audit")
            let consumer = StreamConsumer(redis, stream: "orders", from: start)
            let loop = Task { try await Self.read(57, of: consumer) }
            let seen = try await server.clock.advance(by: .milliseconds(50)) { await loop.result }.get()
            #expect(seen == (1...60).filter { ![3, 4, 40].contains($0) }.map { "\($0)" })
            #expect(await consumer.unreadable(3) == ids("3-0", "4-0", "40-0"))
            #expect(consumer.counters.unreadable == 3)
            #expect(consumer.counters.trimmedUnread == 0)
            let kept = try await redis.send("HGET", "{orders}:position:audit", "id").string
            #expect(kept == "60-0")
        }
    }

    @Test func `An entry with too many fields is skipped, and the others are read`() async throws {
        let server = InMemoryRedis()
        var configuration = RedisClient.Configuration.patient
        configuration.connection.limits.maxArrayElements = 64
        try await server.withClient(configuration) { redis in
            for n in 1...3 {
                let extra = n == 2 ? (0..<40).flatMap { ["f\($0)", "v"] } : []
                _ = try await redis.execute(
                    RawCommand((["XADD", "orders", "\(n)-0", "n", "\(n)"] + extra).map { .text($0) })
                )
            }
            let consumer = StreamConsumer(redis, stream: "orders", from: .beginning)
            let loop = Task { try await Self.read(2, of: consumer) }
            let seen = try await server.clock.advance(by: .milliseconds(50)) { await loop.result }.get()
            #expect(seen == ["1", "3"])
            #expect(await consumer.unreadable(1) == ids("2-0"))
        }
    }

    @Test func `The position is saved after a skipped entry that is the last one`() async throws {
        let server = InMemoryRedis()
        try await server.withClient(Self.limited) { redis in
            try await Self.add(to: "orders", large: [2], of: 2, redis)
            let consumer = StreamConsumer(redis, stream: "orders", from: .resume("audit"))
            let loop = Task { for try await _ in consumer {} }
            _ = await server.clock.advance(by: .milliseconds(50)) { await consumer.unreadable(1) }
            loop.cancel()
            try await loop.value
            let kept = try await redis.send("HGET", "{orders}:position:audit", "id").string
            #expect(kept == "2-0")
        }
    }

    @Test func `An entry that is too large does not keep other streams from being read`() async throws {
        let server = InMemoryRedis()
        try await server.withClient(Self.limited) { redis in
            try await Self.add(to: "a", large: [], of: 20, redis)
            try await Self.add(to: "b", large: [2], of: 20, redis)
            try await Self.add(to: "c", large: [], of: 20, redis)
            let consumer = StreamConsumer(redis, streams: ["a": .beginning, "b": .beginning, "c": .beginning])
            let loop = Task { try await Self.read(59, of: consumer) }
            let seen = try await server.clock.advance(by: .milliseconds(50)) { await loop.result }.get()
            #expect(seen.count == 59)
            #expect(await consumer.unreadable(1) == ids("2-0"))
        }
    }

    /// Each of the three streams can be read alone, but not all three in one reply.
    @Test func `Streams that are too large together are read one by one, and nothing is skipped`() async throws {
        let server = InMemoryRedis()
        try await server.withClient(Self.limited) { redis in
            let value = String(repeating: "x", count: 25_000)
            for stream in ["a", "b", "c"] as [StreamKey] {
                for n in 1...5 {
                    let id = StreamID(milliseconds: UInt64(n))
                    try await redis.xadd(stream, ["n": .integer(n), "value": .text(value)], id: .id(id))
                }
            }
            let consumer = StreamConsumer(redis, streams: ["a": .beginning, "b": .beginning, "c": .beginning])
            let loop = Task { try await Self.read(15, of: consumer) }
            let seen = try await server.clock.advance(by: .milliseconds(50)) { await loop.result }.get()
            #expect(seen.count == 15)
            #expect(consumer.counters.unreadable == 0)
        }
    }

    @Test func `Without the right to run scripts, the error says what to do`() async throws {
        let transport = FakeTransport()
        let large = batch(entry("5-0", ["field", String(repeating: "x", count: 70_000)]))
        let server = ScriptedServer(on: transport) { command in
            switch command.first {
            case "XREAD": large
            case "EVALSHA": "-NOPERM this user has no permissions\r\n"
            default: ":1\r\n"
            }
        }
        try await transport.withClient(Self.limited) { redis in
            let loop = Task {
                await caught { for try await _ in StreamConsumer(redis, stream: "orders", from: .beginning) {} }
            }
            let error = await transport.clock.advance(by: .milliseconds(50)) { await loop.value }
            #expect(error?.code == .replyTooLarge)
            #expect(error?.message.contains("EVALSHA") == true)
            #expect(error?.message.contains("orders after 0-0") == true)
            #expect(server.commands.all.filter { $0.first == "XREAD" }.count == 2, "a batch, and one entry")
        }
    }

    // MARK: Connections that close

    @Test func `After two connections that close during the same read, the next one asks for half as much`() {
        var machine = StreamConsumerStateMachine(["a": .beginning], size: BatchSize(8...8, bytes: 1000))
        for count in [8, 4, 4, 2, 2, 1] {
            _ = machine.failed(lost)
            expect(machine.count, equals: count)
        }
        for _ in 0..<3 { _ = machine.failed(RedisError(.connectionClosed, "never sent", command: "XREAD")) }
        _ = machine.failed(RedisError(.connectionClosed, "elsewhere", command: "EVALSHA", mayHaveExecuted: true))
        expect(machine.next(), equals: .read([StreamOffset("a")]))
    }

    @Test(arguments: [true, false])
    func `An entry whose reads close connections is skipped only if the next one can be read`(isRead: Bool) throws {
        var machine = StreamConsumerStateMachine(["a": .beginning], size: BatchSize(1...1, bytes: 1000))
        _ = try machine.read([messageBatch(of: "a", ["1-0"])])
        let position = StreamOffset("a", after: id("1-0"))
        for _ in 0..<3 {
            _ = machine.failed(lost)
            _ = machine.probed([:])
        }
        expect(machine.next(), equals: .identify(position))
        expect(machine.identified(id("2-0"), isLarge: false, behind: position), equals: nil)
        expect(machine.next(), equals: .readBehind(StreamOffset("a", after: id("2-0"))))
        if isRead {
            let behind = messageBatch(of: "a", ["3-0"])
            expect(machine.readBehind([behind], of: "a"), equals: id("2-0"))
            _ = try machine.read([behind])
            expect(machine.next(), equals: .read([StreamOffset("a", after: id("3-0"))]))
        } else {
            _ = machine.failed(lost)
            _ = machine.probed([:])
            expect(machine.next(), equals: .read([position]))
        }
    }

    @Test func `An entry of usual size is skipped only if it could not be read twice`() throws {
        var machine = StreamConsumerStateMachine(["a": .beginning], size: BatchSize(1...1, bytes: 1000))
        let refused = RedisError(.replyTooLarge, "large", command: "XREAD")
        for expected in [nil, id("2-0")] {
            expect(Reaction(machine.failed(refused)) == .stop(.replyTooLarge), equals: false)
            expect(machine.next(), equals: .identify(StreamOffset("a")))
            expect(machine.identified(id("2-0"), isLarge: false, behind: StreamOffset("a")), equals: expected)
        }
        expect(machine.next(), equals: .read([StreamOffset("a", after: id("2-0"))]))
    }

    private let lost = RedisError(.connectionClosed, "lost", command: "XREAD", mayHaveExecuted: true)

    // MARK: Streams

    /// A client that accepts replies of at most 64 KiB.
    private static var limited: RedisClient.Configuration {
        var configuration = RedisClient.Configuration.patient
        configuration.connection.limits.maxReplyBytes = 64 << 10
        return configuration
    }

    private static func add(to stream: StreamKey, large: [Int], of count: Int, _ redis: RedisClient) async throws {
        for n in 1...count {
            let size = large.contains(n) ? 70_000 : 10
            let value = FieldValue.text(String(repeating: "x", count: size))
            try await redis.xadd(stream, ["n": .integer(n), "v": value], id: .id(StreamID(milliseconds: UInt64(n))))
        }
    }

    /// Reads `count` messages, and then waits for the next one until the loop is cancelled.
    private static func read(_ count: Int, of consumer: StreamConsumer) async throws -> [String] {
        let seen = Journal<String>()
        let loop = Task { for try await message in consumer { seen.record(message["n"] ?? "") } }
        let all = await seen.wait(for: count)
        loop.cancel()
        try await loop.value
        return all
    }
}

extension StreamConsumer {
    /// Waits until the consumer has reported `count` unreadable entries.
    fileprivate func unreadable(_ count: Int) async -> [StreamID] {
        var found: [StreamID] = []
        for await case .unreadable(let id, _, _) in events {
            found.append(id)
            if found.count == count { break }
        }
        return found
    }
}
