import Foundation
import RedisStreams
import ServiceLifecycle
import Testing

extension IntegrationTests {
    /// Trimming that keeps what the groups still need.
    @Suite struct Trimming {
        /// A stream with the entries `1-0` to `n-0`.
        private static func fill(_ stream: StreamKey, upTo count: Int, _ redis: RedisClient) async throws {
            let commands = (1...count).map { n in
                XADD(stream, ["n": .integer(n)], id: .id(StreamID(milliseconds: UInt64(n))))
            }
            _ = try await redis.pipeline(commands)
        }

        private static func read(_ count: Int, _ stream: StreamKey, _ group: String, _ redis: RedisClient) async throws
        {
            _ = try await redis.xreadgroup(group: group, consumer: "c", streams: [GroupOffset(stream)], count: count)
        }

        private static func entries(_ stream: StreamKey, _ redis: RedisClient) async throws -> [String] {
            try await redis.xrange(stream).map { $0["n"] ?? "" }
        }

        /// The ids from one number to another.
        private static func ids(_ numbers: ClosedRange<UInt64>) -> [StreamID] {
            numbers.map { StreamID(milliseconds: $0) }
        }

        @Test("only entries that every group has acknowledged are trimmed", arguments: TestServer.all)
        func groups(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await Self.fill(stream, upTo: 10, redis)
                #expect(try await redis.trim(stream).removedCount == 0, "there is no group")
                try await redis.xgroupCreate(stream, group: "fast", from: .beginning)
                try await redis.xgroupCreate(stream, group: "slow", from: .beginning)
                #expect(try await redis.trim(stream).removedCount == 0, "no group has read anything")
                try await Self.read(10, stream, "fast", redis)
                _ = try await redis.xack(stream, group: "fast", ids: Self.ids(1...10))
                #expect(try await redis.trim(stream).removedCount == 0, "one group has read nothing")
                try await Self.read(6, stream, "slow", redis)
                #expect(try await redis.trim(stream).removedCount == 0, "they are pending in one group")
                _ = try await redis.xack(stream, group: "slow", ids: Self.ids(1...2) + Self.ids(4...4))
                let report = try await redis.trim(stream)
                let hasAcked = binary.name.contains("8.2")
                #expect(report.removedCount == (hasAcked ? 3 : 2))
                let left = try await Self.entries(stream, redis)
                #expect(left == (hasAcked ? ["3"] : ["3", "4"]) + (5...10).map { "\($0)" })
                #expect(report.length == left.count)
                #expect(report.firstID == StreamID(milliseconds: 3))
                #expect(report.holdingBack?.name == "slow")
                #expect(report.holdingBack?.neededID == StreamID(milliseconds: 3))
                #expect(report.holdingBack?.pendingCount == 3)
                _ = try await redis.xack(stream, group: "slow", ids: Self.ids(1...10))
                try await redis.trim(stream)
                #expect(try await Self.entries(stream, redis) == ["7", "8", "9", "10"])
                try await redis.xgroupCreate(stream, group: "new", from: .beginning)
                try await Self.read(10, stream, "slow", redis)
                _ = try await redis.xack(stream, group: "slow", ids: Self.ids(1...10))
                #expect(try await redis.trim(stream).removedCount == 0, "the new group needs them")
            }
        }

        @Test("recent entries, and those after a kept position, are not trimmed", arguments: TestServer.all)
        func keeping(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await Self.fill(stream, upTo: 4, redis)
                try await redis.xadd(stream, ["n": "now"])
                try await redis.xgroupCreate(stream, group: "g", from: .latest)
                var goal = GroupTrim()
                goal.positions = ["audit"]
                #expect(try await redis.trim(stream, goal).removedCount == 0)
                _ = try await redis.send("HSET", .text("{\(stream)}:position:audit"), "id", "2-0", "epoch", "0")
                #expect(try await redis.trim(stream, goal).removedCount == 2)
                #expect(try await redis.trim(stream, keeping: .seconds(60)).removedCount == 2)
                #expect(try await Self.entries(stream, redis) == ["now"])
                #expect(try await redis.trim(stream).removedCount == 1)
                #expect(try await redis.trim(.unique("missing")).length == 0)
            }
        }

        @Test(
            "a stream that grows too long is trimmed anyway, and the report names the groups that lose entries",
            arguments: TestServer.all
        )
        func limit(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await Self.fill(stream, upTo: 1000, redis)
                try await redis.xgroupCreate(stream, group: "reading", from: .id(StreamID(milliseconds: 990)))
                try await redis.xgroupCreate(stream, group: "gone", from: .beginning)
                var goal = GroupTrim()
                goal.maxLength = 300
                let report = try await redis.trim(stream, goal)
                #expect(report.removedCount == 0)
                #expect((500...700).contains(report.forcedCount))
                #expect(report.groups.first { $0.name == "gone" }?.hasLost == true)
                #expect(report.groups.first { $0.name == "reading" }?.hasLost == false)
            }
        }

        @Test("an abandoned group does not hold entries back", arguments: TestServer.all)
        func abandoned(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await Self.fill(stream, upTo: 10, redis)
                try await redis.xgroupCreate(stream, group: "gone", from: .beginning)
                try await redis.xgroupCreate(stream, group: "reading", from: .latest)
                try await Self.read(2, stream, "gone", redis)
                var goal = GroupTrim()
                goal.abandonedAfter = .milliseconds(200)
                #expect(try await redis.trim(stream, goal).removedCount == 0)
                try await eventually("the group has been idle for so long") {
                    let consumers = try await redis.xinfoConsumers(stream, group: "gone")
                    return consumers.allSatisfy { $0.idle > .milliseconds(200) }
                }
                let report = try await redis.trim(stream, goal)
                #expect(report.removedCount == 10)
                #expect(report.groups.first { $0.name == "gone" }?.isAbandoned == true)
            }
        }

        @Test("under load, no group misses anything", arguments: TestServer.all)
        func underLoad(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                var configuration = StreamTrimmer.Configuration()
                configuration.interval = .milliseconds(10)
                let trimmer = StreamTrimmer(redis, stream: stream, configuration: configuration)
                let trimming = Task { try await trimmer.run() }
                let seen = ["a": NumberSet(), "b": NumberSet()]
                let consumers = seen.map { group, numbers in
                    Task {
                        try await GroupConsumer(redis, stream: stream, group: group).run(concurrency: 4) {
                            numbers.insert($0.number)
                        }
                    }
                }
                try await eventually("both groups exist") {
                    (try? await redis.xinfoGroups(stream).count) == 2
                }
                for start in stride(from: 1, through: 10_000, by: 100) {
                    _ = try await redis.pipeline((start..<start + 100).map { XADD(stream, ["n": .integer($0)]) })
                }
                try await eventually("both groups have handled all") { seen.values.allSatisfy { $0.count == 10_000 } }
                try await eventually("all entries are trimmed") { try await redis.xlen(stream) == 0 }
                for consumer in consumers {
                    consumer.cancel()
                    _ = await consumer.result
                }
                trimming.cancel()
                try await trimming.value
            }
        }
    }
}
