import Foundation
import RedisStreams
import Testing

extension IntegrationTests {
    /// Fan-out readers whose positions are kept in Redis.
    @Suite struct Resuming {
        private static let fast: StreamConsumer.Configuration = {
            var configuration = StreamConsumer.Configuration()
            configuration.block = .milliseconds(500)
            configuration.positionInterval = .milliseconds(50)
            return configuration
        }()

        private static func reader(
            _ redis: RedisClient,
            _ stream: StreamKey,
            else start: StreamConsumer.Start = .beginning
        ) -> StreamConsumer {
            StreamConsumer(redis, stream: stream, from: .resume("audit", else: start), configuration: fast)
        }

        /// Handles `count` messages in a loop, which is cancelled while it waits for the next one.
        private static func handle(_ count: Int, of consumer: StreamConsumer) async throws -> [String] {
            let seen = Recorder<String>()
            let loop = Task { for try await message in consumer { seen.add(message["n"] ?? "") } }
            try await eventually("\(count) are handled") { seen.count >= count }
            loop.cancel()
            try await loop.value
            return seen.all
        }

        private static func kept(_ stream: StreamKey, _ redis: RedisClient) async throws -> String? {
            try await redis.send("HGET", .text("{\(stream)}:position:audit"), "id").string
        }

        @Test("a reader resumes after the last message that was handled", arguments: TestServer.all)
        func resume(binary: ServerBinary) async throws {
            let server = try await TestServer.shared(binary)
            let stream = StreamKey.unique()
            try await server.withClient { redis in
                for n in 1...10 { try await redis.xadd(stream, ["n": .integer(n)]) }
                var seen: [String] = []
                for try await message in Self.reader(redis, stream) {
                    seen.append(message["n"] ?? "")
                    if seen.count == 4 { break }
                }
            }
            // The client wrote the position before it ended. The fourth message was not handled, since its loop was
            // left.
            try await server.withClient { redis in
                let seen = try await Self.handle(7, of: Self.reader(redis, stream))
                #expect(seen == (4...10).map { "\($0)" })
                let last = try await redis.xinfoStream(stream).lastGeneratedID
                try await eventually("the last id is kept") { try await Self.kept(stream, redis) == "\(last)" }
                try await redis.xadd(stream, ["n": "11"])
                let more = try await Self.handle(1, of: Self.reader(redis, stream))
                #expect(more == ["11"])
            }
        }

        @Test("the position of latest is kept, although no message was handled", arguments: TestServer.all)
        func latest(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                let last = try await redis.xadd(stream, ["n": "old"])
                let loop = Task { for try await _ in Self.reader(redis, stream, else: .latest) {} }
                try await eventually("it is kept") { try await Self.kept(stream, redis) == "\(last)" }
                loop.cancel()
                try await loop.value
                try await redis.xadd(stream, ["n": "new"])
                let seen = try await Self.handle(1, of: Self.reader(redis, stream, else: .latest))
                #expect(seen == ["new"])
            }
        }

        @Test("an old reader does not set back a newer position", arguments: TestServer.all)
        func stale(binary: ServerBinary) async throws {
            try await TestServer.withOwn(binary) { server in
                try await server.withClient { redis in
                    let stream = StreamKey.unique()
                    for n in 1...10 { try await redis.xadd(stream, ["n": .integer(n)]) }
                    var old = Self.reader(redis, stream).makeAsyncIterator()
                    for _ in 0..<3 { _ = try await old.next() }
                    _ = try await Self.handle(10, of: Self.reader(redis, stream))
                    let last = try await redis.xinfoStream(stream).lastGeneratedID
                    try await eventually("the last id is kept") { try await Self.kept(stream, redis) == "\(last)" }
                    let saves = try await redis.calls(of: "eval", "evalsha")
                    for _ in 0..<3 { _ = try await old.next() }
                    try await eventually("the old reader saves its position") {
                        try await redis.calls(of: "eval", "evalsha") > saves
                    }
                    let kept = try await Self.kept(stream, redis)
                    #expect(kept == "\(last)")
                }
            }
        }

        @Test("a position beyond the end of the stream is a discontinuity, and is set back", arguments: TestServer.all)
        func beyond(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await redis.xadd(stream, ["n": "old"], id: .id(StreamID(milliseconds: 100)))
                _ = try await Self.handle(1, of: Self.reader(redis, stream))
                try await eventually("it is kept") { try await Self.kept(stream, redis) == "100-0" }
                _ = try await redis.del(stream)
                try await redis.xadd(stream, ["n": "recreated"], id: .id(StreamID(milliseconds: 5)))
                let consumer = Self.reader(redis, stream)
                let seen = try await Self.handle(1, of: consumer)
                #expect(seen == ["recreated"])
                #expect(consumer.counters.discontinuities == 1)
                try await eventually("it is set back") { try await Self.kept(stream, redis) == "5-0" }
                let again = Self.reader(redis, stream)
                try await redis.xadd(stream, ["n": "next"], id: .id(StreamID(milliseconds: 6)))
                let next = try await Self.handle(1, of: again)
                #expect(next == ["next"])
                #expect(again.counters.discontinuities == 0)
            }
        }

        @Test("ids beyond the exact numbers of Lua are compared exactly", arguments: TestServer.all)
        func largeNumbers(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                let low = StreamID(milliseconds: 9, sequence: .max - 1)
                let high = StreamID(milliseconds: 9, sequence: .max)
                try await redis.xadd(stream, ["n": "low"], id: .id(low))
                try await redis.xadd(stream, ["n": "high"], id: .id(high))
                try await redis.xadd(stream, ["n": "higher"], id: .id(StreamID(milliseconds: 10)))
                var old = Self.reader(redis, stream).makeAsyncIterator()
                for _ in 0..<2 { _ = try await old.next() }
                try await eventually("the lower one is kept") { try await Self.kept(stream, redis) == "\(low)" }
                _ = try await old.next()
                try await eventually("the higher one is kept") { try await Self.kept(stream, redis) == "\(high)" }
                _ = try await Self.handle(1, of: Self.reader(redis, stream))
                try await eventually("the last id is kept") { try await Self.kept(stream, redis) == "10-0" }
            }
        }
    }
}
