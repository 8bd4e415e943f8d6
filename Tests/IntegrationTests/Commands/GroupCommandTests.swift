import RedisStreams
import Testing

extension IntegrationTests {
    /// `XGROUP`, `XREADGROUP`, `XACK`, `XPENDING`, `XCLAIM`, `XAUTOCLAIM`.
    @Suite struct GroupCommands {
        /// A stream with a group `g`, and entries 1-0 to `count`-0.
        static func makeGroup(_ redis: RedisClient, count: Int = 3) async throws -> (StreamKey, [StreamID]) {
            let stream = StreamKey.unique()
            try await redis.xgroupCreate(stream, group: "g", createStream: true)
            let ids = (0..<count).map { StreamID(milliseconds: UInt64($0 + 1)) }
            for id in ids { try await redis.xadd(stream, ["n": .integer(Int(id.milliseconds))], id: .id(id)) }
            return (stream, ids)
        }

        static func readNew(
            _ redis: RedisClient,
            _ stream: StreamKey,
            as consumer: String = "c",
            count: Int? = nil
        ) async throws -> [StreamID] {
            try await redis.xreadgroup(group: "g", consumer: consumer, streams: [GroupOffset(stream)], count: count)
                .flatMap { $0.map(\.id) }
        }

        @Test("a group is created, moved and destroyed", arguments: TestServer.all)
        func lifeOfAGroup(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                let missing = await expectError(.serverError) { try await redis.xgroupCreate(stream, group: "g") }
                #expect(missing?.command == "XGROUP CREATE")
                try await redis.xgroupCreate(stream, group: "g", from: .latest, createStream: true)
                await expectError(.groupExists) { try await redis.xgroupCreate(stream, group: "g") }
                let id = try await redis.xadd(stream, ["n": 1])
                #expect(try await Self.readNew(redis, stream) == [id])
                try await redis.xgroupSetID(stream, group: "g", to: .beginning)
                #expect(try await Self.readNew(redis, stream) == [id])
                try await redis.xgroupSetID(stream, group: "g", to: .id(.zero))
                try await redis.xgroupSetID(stream, group: "g", to: .latest)
                #expect(try await Self.readNew(redis, stream).isEmpty)
                #expect(try await redis.xgroupDestroy(stream, group: "g"))
                #expect(try await redis.xgroupDestroy(stream, group: "g") == false)
                await expectError(.noGroup) { try await Self.readNew(redis, stream) }
                await expectError(.noGroup) { try await redis.xgroupSetID(stream, group: "g", to: .latest) }
            }
        }

        @Test("consumers are created and deleted", arguments: TestServer.all)
        func consumers(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let (stream, _) = try await Self.makeGroup(redis)
                #expect(try await redis.xgroupCreateConsumer(stream, group: "g", consumer: "a"))
                #expect(try await redis.xgroupCreateConsumer(stream, group: "g", consumer: "a") == false)
                _ = try await Self.readNew(redis, stream, as: "b")
                let infos = try await redis.xinfoConsumers(stream, group: "g")
                #expect(infos.map(\.name).sorted() == ["a", "b"])
                #expect(infos.first { $0.name == "b" }?.pendingCount == 3)
                #expect(try await redis.xgroupDelConsumer(stream, group: "g", consumer: "b") == 3)
                #expect(try await redis.xgroupDelConsumer(stream, group: "g", consumer: "a") == 0)
                #expect(try await redis.xinfoConsumers(stream, group: "g").isEmpty)
            }
        }

        @Test("each message goes to one consumer, and is pending until acknowledged", arguments: TestServer.all)
        func deliveries(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let (stream, ids) = try await Self.makeGroup(redis)
                #expect(try await Self.readNew(redis, stream, as: "a", count: 2) == Array(ids[..<2]))
                #expect(try await Self.readNew(redis, stream, as: "b") == [ids[2]])
                #expect(try await Self.readNew(redis, stream).isEmpty)

                let summary = try await redis.xpending(stream, group: "g")
                #expect(summary.count == 3)
                #expect(summary.lowestID == ids[0])
                #expect(summary.highestID == ids[2])
                #expect(summary.consumers == [.init(name: "a", count: 2), .init(name: "b", count: 1)])

                #expect(
                    try await redis.xack(stream, group: "g", ids: [ids[0], ids[2], StreamID(milliseconds: 9)]) == 2
                )
                #expect(try await redis.xack(stream, group: "none", ids: [ids[0]]) == 0)
                #expect(try await redis.xpending(stream, group: "g").count == 1)
                _ = try await redis.xack(stream, group: "g", ids: [ids[1]])
                let empty = try await redis.xpending(stream, group: "g")
                #expect(empty == PendingSummary(count: 0, lowestID: nil, highestID: nil, consumers: []))
            }
        }

        @Test("XREADGROUP with NOACK leaves nothing pending", arguments: TestServer.all)
        func noAck(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let (stream, ids) = try await Self.makeGroup(redis)
                let batches = try await redis.xreadgroup(
                    group: "g",
                    consumer: "c",
                    streams: [GroupOffset(stream)],
                    block: .milliseconds(100),
                    noAck: true
                )
                #expect(batches.first?.map(\.id) == ids)
                #expect(try await redis.xpending(stream, group: "g").count == 0)
            }
        }

        @Test("pending messages are read again, also deleted ones", arguments: TestServer.all)
        func history(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let (stream, ids) = try await Self.makeGroup(redis)
                _ = try await Self.readNew(redis, stream)
                _ = try await redis.xdel(stream, ids: [ids[1]])
                let history = try await redis.xreadgroup(
                    group: "g",
                    consumer: "c",
                    streams: [GroupOffset(stream, .pending(after: .zero))]
                )
                let batch = try #require(history.first)
                #expect(batch.map(\.id) == ids)
                #expect(batch.map(\.isDeleted) == [false, true, false])
                #expect(batch[1].fields.isEmpty)
                #expect(batch[2]["n"] == "3")
                let rest = try await redis.xreadgroup(
                    group: "g",
                    consumer: "c",
                    streams: [GroupOffset(stream, .pending(after: ids[2]))]
                )
                #expect(rest.first?.isEmpty == true)
            }
        }

        @Test("XPENDING lists messages by range, idle time and consumer", arguments: TestServer.all)
        func pending(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let (stream, ids) = try await Self.makeGroup(redis)
                _ = try await Self.readNew(redis, stream, as: "a", count: 2)
                _ = try await Self.readNew(redis, stream, as: "b")
                let all = try await redis.xpending(stream, group: "g", count: 10)
                #expect(all.map(\.id) == ids)
                #expect(all.map(\.consumer) == ["a", "a", "b"])
                #expect(all.allSatisfy { $0.deliveryCount == 1 && $0.idleTime != nil })
                #expect(try await redis.xpending(stream, group: "g", count: 1).count == 1)
                let some = try await redis.xpending(
                    stream,
                    group: "g",
                    from: .excluding(ids[0]),
                    to: .including(ids[2]),
                    count: 10,
                    consumer: "a"
                )
                #expect(some.map(\.id) == [ids[1]])
                #expect(try await redis.xpending(stream, group: "g", count: 10, minIdle: .seconds(100)).isEmpty)
                #expect(
                    try await redis.xpending(stream, group: "g", count: 10, minIdle: .zero, consumer: "b").count == 1
                )
                await expectError(.noGroup) { try await redis.xpending(stream, group: "none") }
            }
        }

        @Test("XCLAIM claims messages, with every option", arguments: TestServer.all)
        func claim(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let (stream, ids) = try await Self.makeGroup(redis)
                _ = try await Self.readNew(redis, stream, as: "a", count: 2)
                let claimed = try await redis.xclaim(stream, group: "g", consumer: "b", minIdle: .zero, ids: [ids[0]])
                #expect(claimed.map(\.id) == [ids[0]])
                #expect(claimed.first?["n"] == "1")
                #expect(
                    try await redis.xclaim(stream, group: "g", consumer: "b", minIdle: .seconds(100), ids: [ids[1]])
                        .isEmpty
                )
                let justIDs = try await redis.xclaimJustID(
                    stream,
                    group: "g",
                    consumer: "b",
                    minIdle: .zero,
                    ids: [ids[1]],
                    delivery: .idle(.seconds(50)),
                    deliveryCount: 7
                )
                #expect(justIDs == [ids[1]])
                let entry = try await redis.xpending(stream, group: "g", from: .including(ids[1]), count: 1).first
                #expect(entry?.consumer == "b")
                #expect(entry?.deliveryCount == 7)
                #expect((entry?.idleTime ?? .zero) >= .seconds(50))
                // FORCE makes an entry pending that was not.
                _ = try await redis.xclaim(
                    stream,
                    group: "g",
                    consumer: "b",
                    minIdle: .zero,
                    ids: [ids[2]],
                    delivery: .time(milliseconds: 1),
                    force: true,
                    lastID: ids[2]
                )
                #expect(try await redis.xpending(stream, group: "g").consumers == [.init(name: "b", count: 3)])
                #expect(try await redis.xinfoGroups(stream).first?.lastDeliveredID == ids[2])
                _ = try await redis.xdel(stream, ids: [ids[0]])
                let rest = try await redis.xclaim(stream, group: "g", consumer: "c", minIdle: .zero, ids: ids)
                #expect(rest.map(\.id) == [ids[1], ids[2]])
            }
        }

        @Test("XAUTOCLAIM goes through all pending messages", arguments: TestServer.all)
        func autoclaim(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let (stream, ids) = try await Self.makeGroup(redis, count: 5)
                _ = try await Self.readNew(redis, stream, as: "a")
                let first = try await redis.xautoclaim(stream, group: "g", consumer: "b", minIdle: .zero, count: 2)
                #expect(first.messages.map(\.id) == Array(ids[..<2]))
                #expect(first.messages.first?["n"] == "1")
                #expect(!first.isComplete)
                let rest = try await redis.xautoclaimJustID(
                    stream,
                    group: "g",
                    consumer: "b",
                    minIdle: .zero,
                    start: first.next
                )
                #expect(rest.ids == Array(ids[2...]))
                #expect(rest.isComplete)
                let none = try await redis.xautoclaim(stream, group: "g", consumer: "c", minIdle: .seconds(100))
                #expect(none.messages.isEmpty)
                await expectError(.noGroup) {
                    try await redis.xautoclaim(stream, group: "none", consumer: "b", minIdle: .zero)
                }
            }
        }

        @Test("XAUTOCLAIM reports deleted entries as far as the server does", arguments: TestServer.all)
        func autoclaimDeleted(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let isOld = try await redis.isOlder(than: "7.0")
                let (stream, ids) = try await Self.makeGroup(redis)
                _ = try await Self.readNew(redis, stream, as: "a")
                _ = try await redis.xdel(stream, ids: [ids[1]])
                let result = try await redis.xautoclaim(stream, group: "g", consumer: "b", minIdle: .zero)
                #expect(result.messages.map(\.id) == [ids[0], ids[2]])
                #expect(result.deletedIDs == (isOld ? [] : [ids[1]]))
                #expect(result.unidentifiedDeletions == (isOld ? 1 : 0))
                #expect(try await redis.xpending(stream, group: "g").count == (isOld ? 3 : 2))
            }
        }

        @Test("a blocked XREADGROUP gets the next message", arguments: TestServer.all, Route.allCases)
        func blocking(binary: ServerBinary, route: Route) async throws {
            try await TestServer.shared(binary).withClient(route) { redis in
                let (stream, _) = try await Self.makeGroup(redis, count: 0)
                async let batches = redis.xreadgroup(
                    group: "g",
                    consumer: "c",
                    streams: [GroupOffset(stream)],
                    count: 10,
                    block: .seconds(20)
                )
                try await eventually("the read is blocked") {
                    try await redis.info("clients")["blocked_clients"] != "0"
                }
                let id = try await redis.xadd(stream, ["n": 1])
                #expect(try await batches.first?.map(\.id) == [id])
            }
        }
    }
}

extension RedisClient {
    /// Whether the server is a Redis older than `version`; a Valkey counts as 7.2.
    func isOlder(than version: String) async throws -> Bool {
        let info = try await info("server")
        return try #require(info.redisVersion) < #require(ServerVersion(version))
    }
}
