import RedisStreams
import Testing

extension IntegrationTests {
    /// `XINFO`.
    @Suite struct InfoCommands {
        @Test("XINFO describes stream, groups and consumers", arguments: TestServer.all)
        func info(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let isOld = try await redis.isOlder(than: "7.0")
                let (stream, ids) = try await GroupCommands.makeGroup(redis)
                _ = try await GroupCommands.readNew(redis, stream, as: "a", count: 2)

                let info = try await redis.xinfoStream(stream)
                #expect(info.length == 3)
                #expect(info.groupCount == 1)
                #expect(info.firstEntry?.id == ids[0])
                #expect(info.lastEntry?.id == ids[2])
                #expect(info.lastEntry?["n"] == "3")
                #expect(info.lastGeneratedID == ids[2])
                #expect(info.details.entriesAdded == (isOld ? nil : 3))
                #expect(info.details.maxDeletedEntryID == (isOld ? nil : .zero))
                #expect(info.details.radixTreeKeys != nil)

                let group = try #require(try await redis.xinfoGroups(stream).first)
                #expect(group.name == "g")
                #expect(group.consumerCount == 1)
                #expect(group.pendingCount == 2)
                #expect(group.lastDeliveredID == ids[1])
                #expect(group.entriesRead == (isOld ? nil : 2))
                #expect(group.lag == (isOld ? nil : 1))

                let consumer = try #require(try await redis.xinfoConsumers(stream, group: "g").first)
                #expect(consumer.name == "a")
                #expect(consumer.pendingCount == 2)
                #expect(consumer.idle >= .zero)
                #expect((consumer.inactive == nil) == (try await redis.isOlder(than: "7.2")))
            }
        }

        @Test("the lag is unknown where the server does not know it", arguments: TestServer.all)
        func unknownLag(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let (stream, ids) = try await GroupCommands.makeGroup(redis, count: 5)
                _ = try await GroupCommands.readNew(redis, stream, count: 1)
                _ = try await redis.xdel(stream, ids: [ids[2]])
                #expect(try await redis.xinfoGroups(stream).first?.lag == nil)
            }
        }

        @Test("XINFO STREAM FULL describes everything", arguments: TestServer.all)
        func full(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let (stream, ids) = try await GroupCommands.makeGroup(redis, count: 12)
                _ = try await GroupCommands.readNew(redis, stream, as: "a", count: 2)
                let info = try await redis.xinfoStreamFull(stream)
                #expect(info.length == 12)
                #expect(info.entries.map(\.id) == Array(ids[..<10]))
                #expect(info.lastGeneratedID == ids[11])
                let group = try #require(info.groups.first)
                #expect(group.name == "g")
                #expect(group.pendingCount == 2)
                #expect(group.pending.map(\.id) == Array(ids[..<2]))
                #expect(group.pending.allSatisfy { $0.consumer == "a" && $0.deliveryCount == 1 })
                #expect(group.consumers.map(\.name) == ["a"])
                #expect(group.consumers.first?.pending.map(\.id) == Array(ids[..<2]))
                #expect(try await redis.xinfoStreamFull(stream, count: 3).entries.count == 3)
                // Inside a transaction the reply is one level deeper.
                let (inside) = try await redis.transaction(XINFO.STREAMFULL(stream))
                #expect(try inside.get().groups.first?.consumers.first?.pending.count == 2)
            }
        }

        @Test("a missing stream or group is an error", arguments: TestServer.all)
        func missing(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                await expectError(.serverError) { try await redis.xinfoStream(.unique()) }
                await expectError(.serverError) { try await redis.xinfoGroups(.unique()) }
                let stream = StreamKey.unique()
                try await redis.xadd(stream, ["n": 1])
                await expectError(.noGroup) { try await redis.xinfoConsumers(stream, group: "none") }
                #expect(try await redis.xinfoGroups(stream).isEmpty)
            }
        }
    }
}
