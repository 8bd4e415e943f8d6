import Testing

@testable import RedisStreams

/// A command, and its arguments as they must stand on the wire, with spaces between them.
struct WireCase: CustomTestStringConvertible, Sendable {
    let expected: [String]
    let written: [String]
    let keys: [StreamKey]
    let refusal: RedisError?

    init(_ expected: String, _ command: some RedisCommand, keys: [StreamKey] = ["s"]) {
        self.expected = expected.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        written = arguments(command)
        self.keys = keys
        let commandKeys = command.keys
        refusal =
            error { () throws(RedisError) in try command.validate() }
            ?? (commandKeys == keys ? nil : RedisError(.invalidArgument, "has the keys \(commandKeys)"))
    }

    var testDescription: String { expected.joined(separator: " ") }
}

@Suite struct WireTests {
    static let id = StreamID(milliseconds: 5, sequence: 1)
    static let ids = [id, StreamID(milliseconds: 6)]

    static let adding: [WireCase] = [
        WireCase("XADD s * f v", XADD("s", ["f": "v"])),
        WireCase("XADD s 5-1 f v f w", XADD("s", ["f": "v", "f": "w"], id: .id(id))),
        WireCase("XADD s 7-* f 1", XADD("s", ["f": 1], id: .milliseconds(7))),
        WireCase("XADD s NOMKSTREAM * f v", XADD("s", ["f": "v"], createStream: false)),
        WireCase("XADD s MAXLEN ~ 10 * f v", XADD("s", ["f": "v"], trim: .approximately(maxLength: 10))),
        WireCase(
            "XADD s MAXLEN ~ 10 LIMIT 0 * f v",
            XADD("s", ["f": "v"], trim: .approximately(maxLength: 10, limit: 0))
        ),
        WireCase("XADD s MAXLEN = 0 * f v", XADD("s", ["f": "v"], trim: .exactly(maxLength: 0))),
        WireCase("XADD s MINID ~ 5-1 LIMIT 3 * f v", XADD("s", ["f": "v"], trim: .approximately(minID: id, limit: 3))),
        WireCase("XADD s MINID = 5-1 * f v", XADD("s", ["f": "v"], trim: .exactly(minID: id))),
        WireCase("XADD s KEEPREF * f v", XADD("s", ["f": "v"], references: .keep)),
        WireCase("XADD s IDMP p i * f v", XADD("s", ["f": "v"], idempotency: .id("i", producer: "p"))),
        WireCase(
            "XADD s NOMKSTREAM ACKED IDMPAUTO p MAXLEN = 9 * f v",
            XADD(
                "s",
                ["f": "v"],
                createStream: false,
                trim: .exactly(maxLength: 9),
                references: .acknowledged,
                idempotency: .contents(producer: "p")
            )
        ),
        WireCase("XLEN s", XLEN("s")),
        WireCase("XDEL s 5-1 6-0", XDEL("s", ids: ids)),
        WireCase("XDELEX s KEEPREF IDS 2 5-1 6-0", XDELEX("s", ids: ids)),
        WireCase("XDELEX s DELREF IDS 1 5-1", XDELEX("s", ids: [id], references: .delete)),
        WireCase("XTRIM s MAXLEN ~ 10 LIMIT 5", XTRIM("s", .approximately(maxLength: 10, limit: 5))),
        WireCase("XTRIM s MAXBYTES ~ 4096 LIMIT 5", XTRIM("s", .approximately(maxBytes: 4096, limit: 5))),
        WireCase("XTRIM s MAXBYTES = 4096", XTRIM("s", .exactly(maxBytes: 4096))),
        WireCase("XTRIM s MINID = 5-1 ACKED", XTRIM("s", .exactly(minID: id), references: .acknowledged)),
        WireCase("XSETID s 5-1", XSETID("s", lastID: id)),
        WireCase(
            "XSETID s 5-1 ENTRIESADDED 7 MAXDELETEDID 0-0",
            XSETID("s", lastID: id, entriesAdded: 7, maxDeletedID: .zero)
        ),
        WireCase("XCFGSET s IDMP-DURATION 2", XCFGSET("s", idempotencyDuration: .milliseconds(1500))),
        WireCase(
            "XCFGSET s IDMP-DURATION 86400 IDMP-MAXSIZE 10000",
            XCFGSET("s", idempotencyDuration: .seconds(86_400), idempotencyMaxSize: 10_000)
        ),
        WireCase(
            "XCFGSET s IDMP-DURATION 300 IDMP-MAXSIZE 50",
            XCFGSET("s", idempotencyDuration: .seconds(300), idempotencyMaxSize: 50)
        ),
    ]

    static let reading: [WireCase] = [
        WireCase("XRANGE s - +", XRANGE("s")),
        WireCase("XRANGE s 5-1 (5-1 COUNT 2", XRANGE("s", from: .including(id), to: .excluding(id), count: 2)),
        WireCase("XRANGE s 5 6", XRANGE("s", from: .milliseconds(5), to: .milliseconds(6))),
        WireCase("XREVRANGE s + -", XREVRANGE("s")),
        WireCase(
            "XREVRANGE s (5-1 0-0 COUNT 2",
            XREVRANGE("s", from: .excluding(id), downTo: .including(.zero), count: 2)
        ),
        // A page after the highest id, or before the lowest one, is empty. The command sends a range without entries.
        WireCase("XRANGE s \(StreamID.max) 0-0", XRANGE("s", from: .excluding(.max))),
        WireCase(
            "XRANGE s \(StreamID.max) 0-0 COUNT 2",
            XRANGE("s", from: .excluding(.max), to: .including(id), count: 2)
        ),
        WireCase("XRANGE s \(StreamID.max) 0-0", XRANGE("s", to: .excluding(.zero))),
        WireCase("XREVRANGE s 0-0 \(StreamID.max)", XREVRANGE("s", from: .excluding(.zero))),
        WireCase("XREVRANGE s 0-0 \(StreamID.max)", XREVRANGE("s", downTo: .excluding(.max))),
        WireCase("XRANGE s (0-0 (\(StreamID.max)", XRANGE("s", from: .excluding(.zero), to: .excluding(.max))),
        WireCase("XREAD STREAMS s 0-0", XREAD([StreamOffset("s")])),
        WireCase(
            "XREAD STREAMS s t + 5-1",
            XREAD([.lastEntry(of: "s"), StreamOffset("t", after: id)]),
            keys: ["s", "t"]
        ),
        WireCase(
            "XREAD COUNT 5 MAXCOUNT 7 MAXSIZE 1000 BLOCK 1500 STREAMS s t 5-1 0-0",
            XREAD(
                [StreamOffset("s", after: id), StreamOffset("t")],
                count: 5,
                block: .seconds(1.5),
                maxCount: 7,
                maxSize: 1000
            ),
            keys: ["s", "t"]
        ),
        WireCase(
            "XREADGROUP GROUP g c STREAMS s >",
            XREADGROUP(group: "g", consumer: "c", streams: [GroupOffset("s")])
        ),
        WireCase(
            "XREADGROUP GROUP g c COUNT 5 MAXCOUNT 7 MAXSIZE 1000 BLOCK 1 CLAIM 2000 NOACK STREAMS s t > 5-1",
            XREADGROUP(
                group: "g",
                consumer: "c",
                streams: [GroupOffset("s", .new), GroupOffset("t", .pending(after: id))],
                count: 5,
                block: .milliseconds(1),
                noAck: true,
                claim: .seconds(2),
                maxCount: 7,
                maxSize: 1000
            ),
            keys: ["s", "t"]
        ),
    ]

    static let groups: [WireCase] = [
        WireCase(
            "XPENDING s g IDLE 5 \(StreamID.max) 0-0 2 c",
            XPENDING.Entries(
                "s",
                group: "g",
                from: .excluding(.max),
                count: 2,
                minIdle: .milliseconds(5),
                consumer: "c"
            )
        ),
        WireCase("XACK s g 5-1 6-0", XACK("s", group: "g", ids: ids)),
        WireCase("XACKDEL s g KEEPREF IDS 2 5-1 6-0", XACKDEL("s", group: "g", ids: ids)),
        WireCase("XACKDEL s g ACKED IDS 1 5-1", XACKDEL("s", group: "g", ids: [id], references: .acknowledged)),
        WireCase("XNACK s g SILENT IDS 2 5-1 6-0", XNACK("s", group: "g", .silent, ids: ids)),
        WireCase("XNACK s g FAIL IDS 1 5-1 FORCE", XNACK("s", group: "g", .fail, ids: [id], force: true)),
        WireCase("XNACK s g FATAL IDS 1 5-1 RETRYCOUNT 3", XNACK("s", group: "g", .fatal, ids: [id], deliveryCount: 3)),
        WireCase("XPENDING s g", XPENDING("s", group: "g")),
        WireCase("XPENDING s g - + 10", XPENDING.Entries("s", group: "g", count: 10)),
        WireCase(
            "XPENDING s g IDLE 60000 (5-1 6 10 c",
            XPENDING.Entries(
                "s",
                group: "g",
                from: .excluding(id),
                to: .milliseconds(6),
                count: 10,
                minIdle: .seconds(60),
                consumer: "c"
            )
        ),
        WireCase("XCLAIM s g c 0 5-1", XCLAIM("s", group: "g", consumer: "c", minIdle: .zero, ids: [id])),
        WireCase(
            "XCLAIM s g c 1000 5-1 6-0 IDLE 5 RETRYCOUNT 7 FORCE LASTID 9-0",
            XCLAIM(
                "s",
                group: "g",
                consumer: "c",
                minIdle: .seconds(1),
                ids: ids,
                delivery: .idle(.milliseconds(5)),
                deliveryCount: 7,
                force: true,
                lastID: StreamID(milliseconds: 9)
            )
        ),
        WireCase(
            "XCLAIM s g c 1000 5-1 TIME 1700000000000 JUSTID",
            XCLAIM.JUSTID(
                XCLAIM(
                    "s",
                    group: "g",
                    consumer: "c",
                    minIdle: .seconds(1),
                    ids: [id],
                    delivery: .time(milliseconds: 1_700_000_000_000)
                )
            )
        ),
        WireCase("XAUTOCLAIM s g c 1000 0-0", XAUTOCLAIM("s", group: "g", consumer: "c", minIdle: .seconds(1))),
        WireCase(
            "XAUTOCLAIM s g c 1000 5-1 COUNT 50 JUSTID",
            XAUTOCLAIM.JUSTID(
                XAUTOCLAIM("s", group: "g", consumer: "c", minIdle: .seconds(1), start: id, count: 50)
            )
        ),
        WireCase("XGROUP CREATE s g 0-0", XGROUP.CREATE("s", group: "g")),
        WireCase(
            "XGROUP CREATE s g $ MKSTREAM ENTRIESREAD 5",
            XGROUP.CREATE("s", group: "g", from: .latest, createStream: true, entriesRead: 5)
        ),
        WireCase("XGROUP SETID s g 5-1", XGROUP.SETID("s", group: "g", to: .id(id))),
        WireCase("XGROUP SETID s g 0-0 ENTRIESREAD 0", XGROUP.SETID("s", group: "g", to: .beginning, entriesRead: 0)),
        WireCase("XGROUP DESTROY s g", XGROUP.DESTROY("s", group: "g")),
        WireCase("XGROUP CREATECONSUMER s g c", XGROUP.CREATECONSUMER("s", group: "g", consumer: "c")),
        WireCase("XGROUP DELCONSUMER s g c", XGROUP.DELCONSUMER("s", group: "g", consumer: "c")),
        WireCase("XINFO STREAM s", XINFO.STREAM("s")),
        WireCase("XINFO STREAM s FULL", XINFO.STREAMFULL("s")),
        WireCase("XINFO STREAM s FULL COUNT 0", XINFO.STREAMFULL("s", count: 0)),
        WireCase("XINFO GROUPS s", XINFO.GROUPS("s")),
        WireCase("XINFO CONSUMERS s g", XINFO.CONSUMERS("s", group: "g")),
    ]

    static let around: [WireCase] = [
        WireCase("PING", PING(), keys: []),
        WireCase("DEL s t", DEL(["s", "t"]), keys: ["s", "t"]),
        WireCase("EXISTS s t", EXISTS(["s", "t"]), keys: ["s", "t"]),
        WireCase("EXPIRE s 2", EXPIRE("s", after: .milliseconds(1001))),
        WireCase("EXPIRE s 60 NX", EXPIRE("s", after: .seconds(60), .ifNone)),
        WireCase("EXPIRE s 60 XX", EXPIRE("s", after: .seconds(60), .ifAny)),
        WireCase("EXPIRE s 60 GT", EXPIRE("s", after: .seconds(60), .ifLater)),
        WireCase("EXPIRE s 60 LT", EXPIRE("s", after: .seconds(60), .ifEarlier)),
        WireCase("EVAL return 0", EVAL("return"), keys: []),
        WireCase("EVAL return 2 s t a 1", EVAL("return", keys: ["s", "t"], arguments: ["a", 1]), keys: ["s", "t"]),
        WireCase(
            "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 1 s a",
            EVALSHA("e0e1f9fabfc9d4800c877a703b823ac0578ff8db", keys: ["s"], arguments: ["a"])
        ),
        WireCase("CLIENT ID", CLIENT.ID(), keys: []),
        WireCase("CLIENT KILL ID 7", CLIENT.KILL(id: 7), keys: []),
        WireCase("CLIENT UNBLOCK 7 TIMEOUT", CLIENT.UNBLOCK(id: 7), keys: []),
        WireCase("CLIENT UNBLOCK 7 ERROR", CLIENT.UNBLOCK(id: 7, reason: .error), keys: []),
        WireCase("CLIENT SETNAME me", CLIENT.SETNAME("me"), keys: []),
        WireCase("WAIT 2 500", WAIT(replicas: 2, timeout: .milliseconds(500)), keys: []),
        WireCase(
            "WAITAOF 1 2 500",
            WAITAOF(local: true, replicas: 2, timeout: .milliseconds(500)),
            keys: []
        ),
        WireCase("WAITAOF 0 1 1", WAITAOF(local: false, replicas: 1, timeout: .milliseconds(1)), keys: []),
        WireCase("INFO", INFO(), keys: []),
        WireCase("INFO server", INFO(section: "server"), keys: []),
        WireCase("ROLE", ROLE(), keys: []),
        WireCase("AUTH hunter2", AUTH(username: nil, password: "hunter2"), keys: []),
        WireCase("AUTH alice hunter2", AUTH(username: "alice", password: "hunter2"), keys: []),
        WireCase("SELECT 3", SELECT(3), keys: []),
        WireCase("LPUSH s a 1", RawCommand("LPUSH", "s", "a", 1), keys: []),
        WireCase("LPUSH s a", RawCommand("LPUSH", ["s", "a"], keys: ["s"])),
    ]

    @Test(arguments: adding + reading + groups + around)
    func `A command is valid, and is written with its arguments in the order that Redis reads`(command: WireCase) {
        #expect(command.written == command.expected)
        #expect(command.refusal == nil)
    }

    @Test func `Field names and values are sent as they are, whatever they hold`() {
        let command = XADD("s\r\n", ["": "", "a\r\n$1": .bytes([0, 13, 10, 255]), "ü": "\u{1F600}"])
        let sent = reply(String(decoding: wire(XADD("s", ["x": "y"])), as: UTF8.self))
        #expect(sent.array?.count == 5)
        var elements: [RedisReply] = []
        var reader = RESPReader()
        let failure = error { () throws(RedisError) in
            try reader.take(wire(command)) { elements = $0.array.map(Array.init) ?? [] }
        }
        #expect(failure?.code == nil)
        #expect(
            elements.map(\.bytes) == [
                Array("XADD".utf8), Array("s\r\n".utf8), Array("*".utf8), [], [], Array("a\r\n$1".utf8),
                [0, 13, 10, 255],
                Array("ü".utf8), Array("\u{1F600}".utf8),
            ]
        )
    }
}
