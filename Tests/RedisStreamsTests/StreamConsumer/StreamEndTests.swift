import Logging
import RedisStreamsTesting
import ServiceLifecycle
import Testing

@testable import RedisStreams

/// How loops over a stream consumer start and end, and that the cost per stream is the same for many streams.
@Suite(.limitedTime) struct StreamEndTests {
    // MARK: Ready

    @Test func `A consumer from latest delivers what is added after ready returns`() async throws {
        let server = InMemoryRedis()
        try await server.withClient { redis in
            for round in 1...20 {
                let consumer = StreamConsumer(redis, stream: "s", from: .latest)
                let messages = consumer.messages
                let first = Task { try await messages.first { _ in true } }
                try await consumer.ready()
                try await redis.xadd("s", ["n": .integer(round)])
                let message = try await first.value
                #expect(message?["n"] == "\(round)")
                var events = consumer.events.makeAsyncIterator()
                guard case .ready = await events.next() else { return #expect(Bool(false)) }
            }
        }
    }

    @Test func `Waiting for a loop that cannot start throws the reason`() async throws {
        let redis = try FakeTransport().makeClient()
        let consumer = StreamConsumer(redis, streams: [:])
        let waiting = Task { await caught { try await consumer.ready() } }
        _ = await caught { for try await _ in consumer {} }
        let error = await waiting.value
        #expect(error?.code == .invalidArgument)
        let again = await caught { try await consumer.ready() }
        #expect(again?.code == .invalidArgument)
    }

    @Test func `Waiting for a loop can be cancelled, and ends when the loop does`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            let consumer = StreamConsumer(redis, stream: "s", from: .latest)
            let cancelled = Task { await caught { try await consumer.ready() } }
            cancelled.cancel()
            #expect(await cancelled.value?.code == .cancelled)
            let loop = Task { for try await _ in consumer {} }
            let server = await transport.nextConnection()
            await server.expect(probe("s"))
            let waiting = Task { await caught { try await consumer.ready() } }
            loop.cancel()
            try await loop.value
            server.send("$-1\r\n")
            #expect(await waiting.value?.code == .cancelled)
        }
    }

    // MARK: Positions

    @Test func `A cancelled loop ends when its position is saved`() async throws {
        let server = InMemoryRedis()
        try await server.withClient { redis in
            for n in 1...5 { try await redis.xadd("s", ["n": .integer(n)], id: .id(StreamID(milliseconds: UInt64(n)))) }
            let handled = Journal<StreamID>()
            let loop = Task {
                for try await message in StreamConsumer(redis, stream: "s", from: .resume("audit")) {
                    handled.record(message.id)
                }
            }
            _ = await handled.wait(for: 5)
            server.inject(.delay(.milliseconds(500)), on: "EVALSHA")
            loop.cancel()
            try await server.clock.advance(by: .milliseconds(50)) { await loop.result }.get()
            let kept = try await redis.send("HGET", "{s}:position:audit", "id").string
            #expect(kept == "5-0")
        }
    }

    @Test func `A cancelled loop waits no longer than two seconds for a server that does not answer`() async throws {
        let transport = FakeTransport()
        let server = ScriptedServer(on: transport) { command in
            switch command.first {
            case "HMGET": array(["$-1\r\n", "$-1\r\n"])
            case "XREAD": command.last == "0-0" ? batch(entry("1-0")) : nil
            default: nil
            }
        }
        let going = Journal<Task<Void, Never>>()
        try await transport.withClient(.patient) { redis in
            let handled = Journal<StreamID>()
            let loop = Task {
                for try await message in StreamConsumer(redis, stream: "orders", from: .resume("audit")) {
                    handled.record(message.id)
                }
            }
            _ = await handled.wait(for: 1)
            loop.cancel()
            let before = transport.clock.elapsed
            try await transport.clock.advance(by: .milliseconds(100)) { await loop.result }.get()
            #expect(transport.clock.elapsed - before >= .seconds(2))
            #expect(transport.clock.elapsed - before < .seconds(3))
            // The client waits for the consumer, whose own two seconds may have begun a little later.
            going.record(Task { while !Task.isCancelled { await transport.clock.advance(by: .milliseconds(100)) } })
        }
        for task in going.all { task.cancel() }
        _ = server
    }

    @Test func `A client that shuts down right after the loop still saves the position`() async throws {
        let server = InMemoryRedis()
        try await server.withClient { redis in
            for n in 1...5 { try await redis.xadd("s", ["n": .integer(n)], id: .id(StreamID(milliseconds: UInt64(n)))) }
            for try await message in StreamConsumer(redis, stream: "s", from: .resume("audit")) {
                if message["n"] == "4" { break }
            }
        }
        try await server.withClient { redis in
            let kept = try await redis.send("HGET", "{s}:position:audit", "id").string
            #expect(kept == "3-0", "the fourth message was not handled: its loop ended with break")
        }
    }

    // MARK: Services

    @Test func `A service handles messages, and saves its position on shutdown`() async throws {
        let server = InMemoryRedis()
        let handled = Journal<StreamID>()
        let redis = try server.makeClient()
        let audit = StreamConsumer(redis, stream: "s", from: .resume("audit")).service { handled.record($0.id) }
        let group = ServiceGroup(services: [redis, audit], logger: Logger(label: "test"))
        let running = Task { try await group.run() }
        try await redis.xadd("s", ["n": "1"], id: .id(StreamID(milliseconds: 1)))
        _ = await handled.wait(for: 1)
        await group.triggerGracefulShutdown()
        try await running.value
        try await server.withClient { redis in
            let kept = try await redis.send("HGET", "{s}:position:audit", "id").string
            #expect(kept == "1-0")
        }
    }

    @Test func `An error of the handler ends its service, and the message does not count as handled`() async throws {
        struct Failure: Error {}
        let server = InMemoryRedis()
        try await server.withClient { redis in
            for n in 1...3 { try await redis.xadd("s", ["n": .integer(n)], id: .id(StreamID(milliseconds: UInt64(n)))) }
            let audit = StreamConsumer(redis, stream: "s", from: .resume("audit")).service { message in
                if message["n"] == "2" { throw Failure() }
            }
            await #expect(throws: Failure.self) { try await audit.run() }
            let kept = try await redis.send("HGET", "{s}:position:audit", "id").string
            #expect(kept == "1-0")
        }
    }

    // MARK: Many streams

    @Test func `Eight times as many streams cost about eight times as much`() throws {
        let few = try Self.cost(of: 1000)
        let many = try Self.cost(of: 8000)
        #expect(many < few * 48, "it would be 64 times if each lookup searched all streams")
    }

    private static func cost(of count: Int) throws -> Duration {
        let keys = (0..<count).map { StreamKey("stream-\($0)") }
        let starts = Dictionary(
            uniqueKeysWithValues: keys.map { ($0, StreamConsumer.Start.resume("audit", else: .latest)) }
        )
        let batches = keys.map { messageBatch(of: $0, ["1-0"]) }
        return try (0..<3).map { _ in
            let begin = ContinuousClock.now
            var machine = StreamConsumerStateMachine(starts)
            var ledger = PositionLedger()
            loop: while true {
                switch machine.next() {
                case .restore(let stream, _): machine.restored(nil, of: stream)
                case .findLast(let stream):
                    machine.foundLast(.zero, of: stream)
                    ledger.track(stream, name: "audit", at: SavedPosition(id: .zero, epoch: 0), isSaved: false)
                default: break loop
                }
            }
            _ = try machine.read(batches)
            for key in keys {
                ledger.delivered(id("1-0"), of: key)
                _ = ledger.handled(id("1-0"), of: key)
            }
            for save in ledger.takeDue() { ledger.saved(save, epoch: 0) }
            return ContinuousClock.now - begin
        }.min() ?? .zero
    }
}
