import Testing

@testable import RedisStreams

/// Replies as 6.2.14, 7.0.15, 8.2.3 and Valkey 9.1.2 send them.
@Suite struct DecodeTests {
    static let one = StreamID(milliseconds: 1)
    static let two = StreamID(milliseconds: 2)
    static let three = StreamID(milliseconds: 3)

    // MARK: Adding and deleting

    @Test func `XADD returns the id, or nil if it creates no stream`() throws {
        #expect(try XADD("s", ["f": "v"]).decode(reply("$3\r\n1-0\r\n")) == Self.one)
        #expect(try XADD("s", ["f": "v"], createStream: false).decode(reply("$-1\r\n")) == nil)
        let failure = error { () throws(RedisError) in try XADD("s", ["f": "v"]).decode(reply("$-1\r\n")) }
        #expect(failure?.code == .unexpectedReply)
    }

    @Test func `Counts are decoded as numbers`() throws {
        #expect(try XLEN("s").decode(reply(":9223372036854775807\r\n")) == .max)
        #expect(try XACK("s", group: "g", ids: [Self.one]).decode(reply(":1\r\n")) == 1)
        #expect(try XNACK("s", group: "g", .fail, ids: [Self.one]).decode(reply(":0\r\n")) == 0)
        #expect(try XDEL("s", ids: [Self.one]).decode(reply(":1\r\n")) == 1)
        #expect(try XTRIM("s", .exactly(maxLength: 0)).decode(reply(":2\r\n")) == 2)
        #expect(try XGROUP.DELCONSUMER("s", group: "g", consumer: "c").decode(reply(":3\r\n")) == 3)
        #expect(try DEL(["s"]).decode(reply(":1\r\n")) == 1)
        #expect(try EXISTS(["s"]).decode(reply(":1\r\n")) == 1)
        #expect(try CLIENT.ID().decode(reply(":4\r\n")) == 4)
        #expect(try WAIT(replicas: 0, timeout: .seconds(1)).decode(reply(":0\r\n")) == 0)
        let saved = try WAITAOF(local: true, replicas: 2, timeout: .seconds(1)).decode(reply("*2\r\n:1\r\n:3\r\n"))
        #expect(saved == WAITAOF.Saved(local: true, replicas: 3))
    }

    @Test func `The integers 1 and 0 are decoded as true and false`() throws {
        #expect(try XGROUP.DESTROY("s", group: "g").decode(reply(":1\r\n")))
        #expect(try !XGROUP.CREATECONSUMER("s", group: "g", consumer: "c").decode(reply(":0\r\n")))
        #expect(try EXPIRE("s", after: .seconds(1)).decode(reply(":1\r\n")))
        #expect(try !CLIENT.KILL(id: 9).decode(reply(":0\r\n")))
        #expect(try !CLIENT.UNBLOCK(id: 9).decode(reply(":0\r\n")))
    }

    @Test func `XDELEX and XACKDEL return a result for each id`() throws {
        let ids = [Self.one, Self.two, Self.three]
        let wire = "*3\r\n:-1\r\n:1\r\n:2\r\n"
        #expect(try XDELEX("s", ids: ids).decode(reply(wire)) == [.notFound, .deleted, .stillReferenced])
        #expect(try XACKDEL("s", group: "g", ids: ids).decode(reply(wire)) == [.notFound, .deleted, .stillReferenced])
        for wrong in ["*2\r\n:1\r\n:1\r\n", "*3\r\n:1\r\n:1\r\n:3\r\n", "*3\r\n:1\r\n:1\r\n$-1\r\n", ":1\r\n"] {
            let failure = error { () throws(RedisError) in try XDELEX("s", ids: ids).decode(reply(wrong)) }
            #expect(failure?.code == .unexpectedReply)
        }
    }

    // MARK: Reading

    static let entries = "*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n*2\r\n$3\r\n2-0\r\n*-1\r\n"

    @Test func `A range is a batch, even of a stream that does not exist`() throws {
        let batch = try XRANGE("s").decode(reply(Self.entries))
        #expect(batch.map(\.id) == [Self.one, Self.two])
        #expect(batch[0]["a"] == "1")
        #expect(batch[1].isDeleted && batch[1].fields.isEmpty)
        #expect(batch.stream == "s")
        #expect(try XREVRANGE("s").decode(reply("*0\r\n")).isEmpty)
        #expect(try XRANGE("s", count: 1).decode(reply("*-1\r\n")).isEmpty)
    }

    @Test func `A read returns a batch for each stream that has entries`() throws {
        let command = XREAD([StreamOffset("s"), StreamOffset("none"), StreamOffset("t")])
        let wire = "*2\r\n*2\r\n$1\r\ns\r\n\(Self.entries)*2\r\n$1\r\nt\r\n*0\r\n"
        let batches = try command.decode(reply(wire))
        #expect(batches.map(\.stream) == ["s", "t"])
        #expect(batches.map(\.count) == [2, 0])
        #expect(try command.decode(reply("*-1\r\n")).isEmpty)
        #expect(try command.decode(reply("$-1\r\n")).isEmpty)
        let other = try command.decode(reply("*1\r\n*2\r\n$5\r\nother\r\n*0\r\n"))
        #expect(other.map(\.stream) == ["other"])
    }

    @Test(arguments: [":2500\r\n:3\r\n", "$4\r\n2500\r\n$1\r\n3\r\n"])
    func `Claimed messages have an idle time and a delivery count`(extra: String) throws {
        let wire =
            "*1\r\n*2\r\n$1\r\ns\r\n*2\r\n*4\r\n$3\r\n1-0\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n\(extra)"
            + "*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\na\r\n$1\r\n2\r\n"
        let command = XREADGROUP(group: "g", consumer: "c", streams: [GroupOffset("s")], claim: .seconds(1))
        let batch = try #require(try command.decode(reply(wire)).first)
        #expect(batch[0].idleTime == .milliseconds(2500))
        #expect(batch[0].deliveryCount == 3)
        #expect(batch[1].idleTime == nil)
        #expect(batch[1].deliveryCount == nil)
        #expect(batch[1]["a"] == "2")
    }

    // MARK: Pending

    @Test func `XPENDING returns a summary, with the count of a consumer as a string or a number`() throws {
        let command = XPENDING("s", group: "g")
        let wire = "*4\r\n:3\r\n$3\r\n1-0\r\n$3\r\n3-0\r\n*2\r\n*2\r\n$2\r\nc1\r\n$1\r\n2\r\n*2\r\n$2\r\nc2\r\n:1\r\n"
        #expect(
            try command.decode(reply(wire))
                == PendingSummary(
                    count: 3,
                    lowestID: Self.one,
                    highestID: Self.three,
                    consumers: [.init(name: "c1", count: 2), .init(name: "c2", count: 1)]
                )
        )
        #expect(
            try command.decode(reply("*4\r\n:0\r\n$-1\r\n$-1\r\n*-1\r\n"))
                == PendingSummary(count: 0, lowestID: nil, highestID: nil, consumers: [])
        )
    }

    @Test func `XPENDING lists entries, and returned ones have neither owner nor idle time`() throws {
        let wire =
            "*2\r\n*4\r\n$3\r\n1-0\r\n$2\r\nc1\r\n:242\r\n:1\r\n"
            + "*4\r\n$3\r\n2-0\r\n$0\r\n\r\n:-1\r\n:9223372036854775807\r\n"
        #expect(
            try XPENDING.Entries("s", group: "g", count: 10).decode(reply(wire)) == [
                PendingEntry(id: Self.one, consumer: "c1", idleTime: .milliseconds(242), deliveryCount: 1),
                PendingEntry(id: Self.two, consumer: "", idleTime: nil, deliveryCount: .max),
            ]
        )
        #expect(try XPENDING.Entries("s", group: "g", count: 10).decode(reply("*0\r\n")) == [])
    }

    @Test func `XCLAIM leaves out deleted entries, which 6.2 sends as nulls`() throws {
        let command = XCLAIM("s", group: "g", consumer: "c", minIdle: .zero, ids: [Self.one, Self.two])
        let batch = try command.decode(reply("*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n$-1\r\n"))
        #expect(batch.map(\.id) == [Self.one])
        #expect(try XCLAIM.JUSTID(command).decode(reply("*2\r\n$3\r\n1-0\r\n$3\r\n2-0\r\n")) == [Self.one, Self.two])
    }

    @Test func `XAUTOCLAIM of 6.2 has two elements, and nulls for deleted entries`() throws {
        let command = XAUTOCLAIM("s", group: "g", consumer: "c", minIdle: .zero)
        let result = try command.decode(
            reply("*2\r\n$3\r\n0-0\r\n*3\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n$-1\r\n$-1\r\n")
        )
        #expect(result.isComplete)
        #expect(result.messages.map(\.id) == [Self.one])
        #expect(result.deletedIDs == [])
        #expect(result.unidentifiedDeletions == 2)
        let ids = try XAUTOCLAIM.JUSTID(command).decode(reply("*2\r\n$3\r\n2-0\r\n*1\r\n$3\r\n1-0\r\n"))
        #expect(ids == AutoclaimedIDs(next: Self.two, ids: [Self.one], deletedIDs: []))
    }

    @Test func `XAUTOCLAIM of 7.0 and later returns the ids of deleted entries`() throws {
        let command = XAUTOCLAIM("s", group: "g", consumer: "c", minIdle: .zero)
        let result = try command.decode(
            reply("*3\r\n$3\r\n2-0\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n*1\r\n$3\r\n3-0\r\n")
        )
        #expect(!result.isComplete && result.next == Self.two)
        #expect(result.messages.map(\.id) == [Self.one])
        #expect(result.deletedIDs == [Self.three])
        #expect(result.unidentifiedDeletions == 0)
        let ids = try XAUTOCLAIM.JUSTID(command).decode(reply("*3\r\n$3\r\n0-0\r\n*0\r\n*1\r\n$3\r\n3-0\r\n"))
        #expect(ids.isComplete && ids.deletedIDs == [Self.three])
    }

    // MARK: The server

    @Test func `ROLE distinguishes masters, replicas and sentinels`() throws {
        let role = ROLE()
        #expect(try role.decode(reply("*3\r\n$6\r\nmaster\r\n:7\r\n*0\r\n")) == .master(offset: 7, replicaCount: 0))
        #expect(
            try role.decode(
                reply("*3\r\n$6\r\nmaster\r\n:7\r\n*1\r\n*3\r\n$9\r\n127.0.0.1\r\n$4\r\n9001\r\n$7\r\n3129659\r\n")
            )
                == .master(offset: 7, replicaCount: 1)
        )
        #expect(
            try role.decode(reply("*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:9000\r\n$9\r\nconnected\r\n:3167038\r\n"))
                == .replica(host: "127.0.0.1", port: 9000, state: "connected")
        )
        #expect(
            try role.decode(reply("*2\r\n$8\r\nsentinel\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"))
                == .sentinel(masters: ["a", "b"])
        )
        #expect(try role.decode(reply("*1\r\n$3\r\nnew\r\n")) == .other("new"))
    }

    @Test func `INFO is decoded by name, with any line endings`() throws {
        let text = "# Server\r\nredis_version:7.0.15\r\nexecutable:/usr/bin/x:y\r\nempty:\r\nnoise\r\n"
        let info = try INFO().decode(reply("$\(text.utf8.count)\r\n\(text)\r\n"))
        #expect(info.server == .redis)
        #expect(info.version == ServerVersion(major: 7, patch: 15))
        #expect(info["executable"] == "/usr/bin/x:y")
        #expect(info["empty"] == "")
        #expect(info["noise"] == nil && info["# Server"] == nil)
        let valkey = ServerInfo("redis_version:7.2.4\nserver_name:valkey\nvalkey_version:9.1.2\n")
        #expect(valkey.server == .valkey)
        #expect(valkey.version == ServerVersion(major: 9, minor: 1, patch: 2))
        #expect(valkey.redisVersion == ServerVersion(major: 7, minor: 2, patch: 4))
        #expect(ServerInfo("").version == nil)
    }

    @Test func `Only OK and PONG are accepted where they are expected`() throws {
        try PING().decode(reply("+PONG\r\n"))
        try XGROUP.CREATE("s", group: "g").decode(reply("+OK\r\n"))
        let failure = error { () throws(RedisError) in try PING().decode(reply("+OK\r\n")) }
        #expect(failure?.code == .unexpectedReply)
        #expect(failure?.command == "PING")
    }

    @Test func `An error is thrown with the name of the command`() {
        let failure = error { () throws(RedisError) in
            try XREAD([StreamOffset("s")]).response(to: reply("-WRONGTYPE Operation against a key\r\n"))
        }
        #expect(failure?.code == .wrongType)
        #expect(failure?.command == "XREAD")
    }
}
