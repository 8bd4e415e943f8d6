import Foundation
import RedisStreams
import Testing

extension IntegrationTests {
    /// Fan-out reading.
    @Suite struct StreamConsumers {
        private static let fast: StreamConsumer.Configuration = {
            var configuration = StreamConsumer.Configuration()
            configuration.block = .milliseconds(500)
            return configuration
        }()

        /// The next `count` messages, by the numbers in them.
        private static func read(
            _ count: Int,
            of messages: some AsyncSequence<StreamMessage, some Error>
        ) async throws -> [String] {
            var read: [String] = []
            for try await message in messages {
                read.append(message["n"] ?? "")
                if read.count == count { break }
            }
            return read
        }

        @Test("reading starts at the configured position", arguments: TestServer.all, Route.allCases)
        func starts(binary: ServerBinary, route: Route) async throws {
            try await TestServer.shared(binary).withClient(route) { redis in
                let stream = StreamKey.unique()
                for n in 1...5 {
                    try await redis.xadd(stream, ["n": .integer(n)], id: .id(StreamID(milliseconds: UInt64(n * 1000))))
                }
                let third = StreamID(milliseconds: 3000)
                for (start, expected) in [
                    (StreamConsumer.Start.beginning, ["1", "2", "3", "4", "5"]), (.after(third), ["4", "5"]),
                    (.time(.seconds(3)), ["3", "4", "5"]), (.time(.milliseconds(3001)), ["4", "5"]),
                    (.time(.zero), ["1", "2", "3", "4", "5"]),
                ] {
                    let consumer = StreamConsumer(redis, stream: stream, from: start, configuration: Self.fast)
                    let direct = try await Self.read(expected.count, of: consumer)
                    #expect(direct == expected)
                    let streamed = try await Self.read(expected.count, of: consumer.messages)
                    #expect(streamed == expected)
                }
            }
        }

        @Test(
            "no message added after the start is missed, although connections are killed",
            arguments: TestServer.all
        )
        func latest(binary: ServerBinary) async throws {
            let name = "latest-\(UInt32.random(in: 0...UInt32.max))"
            let server = try await TestServer.shared(binary)
            try await server.withClient { producer in
                try await server.withClient {
                    $0.connection.clientName = name
                } _: { redis in
                    let stream = StreamKey.unique()
                    try await producer.xadd(stream, ["n": "old"])
                    let seen = Recorder<String>()
                    let reader = Task {
                        for try await message in StreamConsumer(redis, stream: stream, configuration: Self.fast) {
                            seen.add(message["n"] ?? "")
                            if message["n"] == "end" { break }
                        }
                    }
                    let blocked = {
                        try await producer.connections(named: name).filter { $0["flags"]?.contains("b") == true }
                    }
                    try await eventually("the reader is blocked") { try await blocked().count == 1 }
                    var expected: [String] = []
                    for round in 0..<5 {
                        // Messages are added while the reader is disconnected, and after it has come back.
                        for id in try await blocked().compactMap({ $0["id"] }) {
                            _ = try await producer.send("CLIENT", "KILL", "ID", .text(id))
                        }
                        for n in 0..<20 {
                            try await producer.xadd(stream, ["n": "\(round)-\(n)"])
                            expected.append("\(round)-\(n)")
                        }
                        try await eventually("all is read") { seen.count == expected.count }
                        try await eventually("the reader is blocked") { try await blocked().count == 1 }
                    }
                    try await producer.xadd(stream, ["n": "end"])
                    try await reader.value
                    #expect(seen.all == expected + ["end"])
                }
            }
        }

        @Test("latest is a concrete position before the first message", arguments: TestServer.all)
        func latestBeforeAnything(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                let id = try await redis.xadd(stream, ["n": "deleted"])
                _ = try await redis.xdel(stream, ids: [id])
                var iterator = StreamConsumer(redis, stream: stream, configuration: Self.fast).makeAsyncIterator()
                async let first = iterator.next()
                try await eventually("the reader is blocked") {
                    try await redis.info("clients")["blocked_clients"] != "0"
                }
                try await redis.xadd(stream, ["n": "1"])
                let message = try await first
                #expect(message?["n"] == "1")
            }
        }

        @Test("several streams are read, each in its order, also one that is created later", arguments: TestServer.all)
        func severalStreams(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let (first, second, late) = (StreamKey.unique("a"), StreamKey.unique("b"), StreamKey.unique("late"))
                for n in 1...50 {
                    try await redis.xadd(first, ["n": .integer(n)])
                    try await redis.xadd(second, ["n": .integer(n)])
                }
                let consumer = StreamConsumer(
                    redis,
                    streams: [first: .beginning, second: .beginning, late: .latest],
                    configuration: Self.fast
                )
                var seen: [StreamKey: [String]] = [:]
                var count = 0
                for try await message in consumer {
                    seen[message.stream, default: []].append(message["n"] ?? "")
                    count += 1
                    if count == 100 { for n in 1...50 { try await redis.xadd(late, ["n": .integer(n)]) } }
                    if count == 150 { break }
                }
                let expected = (1...50).map { "\($0)" }
                #expect(seen == [first: expected, second: expected, late: expected])
            }
        }

        @Test("each reader receives all messages", arguments: TestServer.all)
        func fanOut(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                let consumer = StreamConsumer(redis, stream: stream, from: .beginning, configuration: Self.fast)
                async let one = Self.read(2000, of: consumer)
                async let two = Self.read(2000, of: consumer.messages)
                for batch in 0..<20 {
                    let commands = (1...100).map { XADD(stream, ["n": .integer(batch * 100 + $0)]) }
                    _ = try await redis.pipeline(commands)
                }
                let expected = (1...2000).map { "\($0)" }
                #expect(try await one == expected)
                #expect(try await two == expected)
            }
        }

        @Test("a key that holds no stream is an error", arguments: TestServer.all)
        func wrongType(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let key = StreamKey.unique()
                _ = try await redis.send("SET", .text(key.rawValue), "text")
                for start in [StreamConsumer.Start.beginning, .latest] {
                    await expectError(.wrongType, within: .seconds(5)) {
                        for try await _ in StreamConsumer(redis, stream: key, from: start, configuration: Self.fast) {}
                    }
                }
            }
        }

        @Test("a reader waits for a server that restarts", arguments: TestServer.all)
        func restart(binary: ServerBinary) async throws {
            try await TestServer.withOwn(binary, .init(isDurable: true)) { server in
                try await server.withClient { redis in
                    let seen = Recorder<String>()
                    let reader = Task {
                        for try await message in StreamConsumer(
                            redis,
                            stream: "s",
                            from: .beginning,
                            configuration: Self.fast
                        ) {
                            seen.add(message["n"] ?? "")
                        }
                    }
                    for n in 1...10 { try await redis.xadd("s", ["n": .integer(n)]) }
                    try await eventually("ten are read") { seen.count == 10 }
                    try await server.kill()
                    try await server.restart()
                    for n in 11...20 {
                        try await eventually("a message is added") {
                            (try? await redis.xadd("s", ["n": .integer(n)])) != nil
                        }
                    }
                    try await eventually("all are read") { seen.count >= 20 }
                    #expect(seen.all == (1...20).map { "\($0)" })
                    reader.cancel()
                    try await reader.value
                }
            }
        }

        @Test("cancelling ends the loop without an error, and at once", arguments: TestServer.all)
        func cancellation(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                let reader = Task {
                    for try await _ in StreamConsumer(redis, stream: stream) {}
                }
                try await eventually("the reader is blocked") {
                    try await redis.info("clients")["blocked_clients"] != "0"
                }
                let start = ContinuousClock.now
                reader.cancel()
                try await reader.value
                #expect(ContinuousClock.now - start < .seconds(1))
                try await eventually("no read is blocked") {
                    try await redis.info("clients")["blocked_clients"] == "0"
                }
            }
        }
    }
}
