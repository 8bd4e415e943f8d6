import Testing

@testable import RedisStreams

@Suite struct InfoDecodeTests {
    /// The wire of a flat array, from Swift literals.
    static func flat(_ pairs: [(String, Value)]) -> Value {
        .array(pairs.flatMap { [.bulk($0.0), $0.1] })
    }

    static func entry(_ id: String) -> Value { .array([.bulk(id), .array([.bulk("a"), .bulk("1")])]) }

    static func reply(_ value: Value) -> RedisReply {
        RedisStreamsTests.reply(String(decoding: value.wire, as: UTF8.self))
    }

    static let stream62: [(String, Value)] = [
        ("length", .integer(2)), ("radix-tree-keys", .integer(1)), ("radix-tree-nodes", .integer(2)),
        ("last-generated-id", .bulk("3-0")), ("groups", .integer(2)), ("first-entry", entry("1-0")),
        ("last-entry", entry("3-0")),
    ]

    @Test func `XINFO STREAM of 6.2 lacks the values that 7.0 added`() throws {
        let info = try XINFO.STREAM("s").decode(Self.reply(Self.flat(Self.stream62)))
        #expect(info.length == 2)
        #expect(info.groupCount == 2)
        #expect(info.lastGeneratedID == StreamID(milliseconds: 3))
        #expect(info.firstEntry?.id == StreamID(milliseconds: 1))
        #expect(info.firstEntry?["a"] == "1")
        #expect(info.lastEntry?.id == StreamID(milliseconds: 3))
        #expect(info.details.radixTreeNodes == 2)
        #expect(info.details.entriesAdded == nil)
        #expect(info.details.maxDeletedEntryID == nil)
    }

    @Test func `XINFO STREAM decodes values of later versions, and ignores unknown ones`() throws {
        let added: [(String, Value)] = [
            ("max-deleted-entry-id", .bulk("2-0")), ("entries-added", .integer(4)),
            ("recorded-first-entry-id", .bulk("1-0")), ("idmp-duration", .integer(100)), ("idmp-maxsize", .integer(50)),
            ("pids-tracked", .integer(1)), ("iids-tracked", .integer(2)), ("iids-added", .integer(3)),
            ("iids-duplicates", .integer(4)), ("from-the-future", .array([.null])),
        ]
        let info = try XINFO.STREAM("s").decode(Self.reply(Self.flat(added + Self.stream62)))
        #expect(info.details.maxDeletedEntryID == StreamID(milliseconds: 2))
        #expect(info.details.entriesAdded == 4)
        #expect(info.details.recordedFirstEntryID == StreamID(milliseconds: 1))
        #expect(info.details.idempotencyDuration == .seconds(100))
        #expect(info.details.idempotencyMaxSize == 50)
        #expect(info.details.producersTracked == 1)
        #expect(info.details.idempotentIDsTracked == 2)
        #expect(info.details.idempotentIDsAdded == 3)
        #expect(info.details.idempotentDuplicates == 4)
    }

    @Test func `An empty stream has no first and no last entry`() throws {
        let pairs: [(String, Value)] = [
            ("length", .integer(0)), ("last-generated-id", .bulk("10-0")), ("groups", .integer(0)),
            ("first-entry", .null), ("last-entry", .null),
        ]
        let info = try XINFO.STREAM("s").decode(Self.reply(Self.flat(pairs)))
        #expect(info.firstEntry == nil && info.lastEntry == nil)
    }

    @Test func `The lag of a group is nil if the server is too old, or does not know it`() throws {
        let old = Self.flat([
            ("name", .bulk("g")), ("consumers", .integer(2)), ("pending", .integer(3)),
            ("last-delivered-id", .bulk("3-0")),
        ])
        let unknown = Self.flat([
            ("name", .bulk("h")), ("consumers", .integer(0)), ("pending", .integer(0)),
            ("last-delivered-id", .bulk("4-0")),
            ("entries-read", .null), ("lag", .null), ("nacked-count", .integer(1)),
        ])
        let known = Self.flat([
            ("lag", .integer(1)), ("entries-read", .integer(3)), ("last-delivered-id", .bulk("3-0")),
            ("pending", .integer(3)), ("consumers", .integer(2)), ("name", .bulk("i")),
        ])
        let groups = try XINFO.GROUPS("s").decode(Self.reply(.array([old, unknown, known])))
        #expect(groups.map(\.name) == ["g", "h", "i"])
        #expect(groups.map(\.lag) == [nil, nil, 1])
        #expect(groups.map(\.entriesRead) == [nil, nil, 3])
        #expect(groups.map(\.pendingCount) == [3, 0, 3])
        #expect(groups.map(\.consumerCount) == [2, 0, 2])
        #expect(groups[1].lastDeliveredID == StreamID(milliseconds: 4))
        #expect(try XINFO.GROUPS("s").decode(Self.reply(.array([]))).isEmpty)
    }

    @Test func `From 7.2 on, a consumer has an inactive time, unless it never read`() throws {
        let old = Self.flat([("name", .bulk("a")), ("pending", .integer(3)), ("idle", .integer(245))])
        let new = Self.flat([
            ("name", .bulk("b")), ("pending", .integer(0)), ("idle", .integer(5)), ("inactive", .integer(9)),
        ])
        let never = Self.flat([
            ("name", .bulk("c")), ("pending", .integer(0)), ("idle", .integer(5)), ("inactive", .integer(-1)),
        ])
        let consumers = try XINFO.CONSUMERS("s", group: "g").decode(Self.reply(.array([old, new, never])))
        #expect(consumers.map(\.name) == ["a", "b", "c"])
        #expect(consumers.map(\.idle) == [.milliseconds(245), .milliseconds(5), .milliseconds(5)])
        #expect(consumers.map(\.inactive) == [nil, .milliseconds(9), nil])
        #expect(consumers.map(\.pendingCount) == [3, 0, 0])
    }

    @Test func `XINFO STREAM FULL returns the groups with their consumers and pending messages`() throws {
        let consumer = Self.flat([
            ("name", .bulk("c1")), ("seen-time", .integer(1_795_368_938_136)), ("active-time", .integer(-1)),
            ("pel-count", .integer(1)), ("pending", .array([.array([.bulk("1-0"), .integer(99), .integer(.max)])])),
        ])
        let group = Self.flat([
            ("name", .bulk("g")), ("last-delivered-id", .bulk("3-0")), ("entries-read", .integer(3)), ("lag", .null),
            ("pel-count", .integer(1)), ("nacked-count", .integer(4)),
            ("pending", .array([.array([.bulk("1-0"), .bulk("c1"), .integer(99), .integer(.max)])])),
            ("consumers", .array([consumer])),
        ])
        let full = Self.flat([
            ("length", .integer(2)), ("last-generated-id", .bulk("3-0")), ("entries-added", .integer(3)),
            ("entries", .array([Self.entry("1-0"), Self.entry("3-0")])), ("groups", .array([group])),
        ])
        let info = try XINFO.STREAMFULL("s").decode(Self.reply(full))
        #expect(info.length == 2)
        #expect(info.entries.map(\.id) == [StreamID(milliseconds: 1), StreamID(milliseconds: 3)])
        #expect(info.details.entriesAdded == 3)
        let read = try #require(info.groups.first)
        #expect(read.name == "g" && read.lag == nil && read.entriesRead == 3 && read.pendingCount == 1)
        #expect(read.nackedCount == 4)
        let pending = StreamFullInfo.Pending(
            id: StreamID(milliseconds: 1),
            consumer: "c1",
            deliveryTime: 99,
            deliveryCount: .max
        )
        #expect(read.pending == [pending])
        #expect(
            read.consumers == [
                StreamFullInfo.Consumer(
                    name: "c1",
                    seenTime: 1_795_368_938_136,
                    activeTime: nil,
                    pendingCount: 1,
                    pending: [pending]
                )
            ]
        )
    }
}
