import Testing

@testable import RedisStreams

/// A command, reduced to the decoding of its reply.
struct ReadingCase: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let decode: @Sendable (RedisReply) -> RedisError?

    init(_ command: some RedisCommand) {
        testDescription = arguments(command).joined(separator: " ")
        decode = { reply in error { () throws(RedisError) in try command.decode(reply) } }
    }
}

@Suite struct WrongShapeTests {
    static let id = StreamID(milliseconds: 1)

    static let commands: [ReadingCase] = [
        ReadingCase(XADD("s", ["f": "v"])), ReadingCase(XADD("s", ["f": "v"], createStream: false)),
        ReadingCase(XLEN("s")),
        ReadingCase(XDEL("s", ids: [id])), ReadingCase(XDELEX("s", ids: [id])),
        ReadingCase(XACKDEL("s", group: "g", ids: [id])),
        ReadingCase(XACK("s", group: "g", ids: [id])), ReadingCase(XNACK("s", group: "g", .fail, ids: [id])),
        ReadingCase(XTRIM("s", .exactly(maxLength: 1))), ReadingCase(XSETID("s", lastID: id)),
        ReadingCase(XCFGSET("s", idempotencyMaxSize: 1)), ReadingCase(XRANGE("s")), ReadingCase(XREVRANGE("s")),
        ReadingCase(XREAD([StreamOffset("s")])),
        ReadingCase(XREADGROUP(group: "g", consumer: "c", streams: [GroupOffset("s")])),
        ReadingCase(XPENDING("s", group: "g")), ReadingCase(XPENDING.Entries("s", group: "g", count: 1)),
        ReadingCase(XCLAIM("s", group: "g", consumer: "c", minIdle: .zero, ids: [id])),
        ReadingCase(XCLAIM.JUSTID(XCLAIM("s", group: "g", consumer: "c", minIdle: .zero, ids: [id]))),
        ReadingCase(XAUTOCLAIM("s", group: "g", consumer: "c", minIdle: .zero)),
        ReadingCase(XAUTOCLAIM.JUSTID(XAUTOCLAIM("s", group: "g", consumer: "c", minIdle: .zero))),
        ReadingCase(XGROUP.CREATE("s", group: "g")), ReadingCase(XGROUP.SETID("s", group: "g", to: .latest)),
        ReadingCase(XGROUP.DESTROY("s", group: "g")),
        ReadingCase(XGROUP.CREATECONSUMER("s", group: "g", consumer: "c")),
        ReadingCase(XGROUP.DELCONSUMER("s", group: "g", consumer: "c")), ReadingCase(XINFO.STREAM("s")),
        ReadingCase(XINFO.STREAMFULL("s")), ReadingCase(XINFO.GROUPS("s")),
        ReadingCase(XINFO.CONSUMERS("s", group: "g")),
        ReadingCase(SENTINEL.GETMASTERADDRBYNAME(master: "m")), ReadingCase(SENTINEL.MASTER(master: "m")),
        ReadingCase(SENTINEL.SENTINELS(master: "m")), ReadingCase(SENTINEL.MYID()),
        ReadingCase(PING()), ReadingCase(DEL(["s"])), ReadingCase(EXISTS(["s"])),
        ReadingCase(EXPIRE("s", after: .seconds(1))),
        ReadingCase(CLIENT.ID()), ReadingCase(CLIENT.KILL(id: 1)), ReadingCase(CLIENT.UNBLOCK(id: 1)),
        ReadingCase(CLIENT.SETNAME("n")), ReadingCase(WAIT(replicas: 1, timeout: .seconds(1))), ReadingCase(INFO()),
        ReadingCase(WAITAOF(local: true, replicas: 1, timeout: .seconds(1))),
        ReadingCase(ROLE()), ReadingCase(AUTH(username: nil, password: "p")), ReadingCase(SELECT(0)),
    ]

    /// Replies that no command expects, each for a different reason.
    static let shapes: [String] = [
        "+QUEUED\r\n", "*1\r\n+QUEUED\r\n", "*1\r\n*1\r\n:1\r\n", "*2\r\n:1\r\n:2\r\n", "*3\r\n:1\r\n:2\r\n:3\r\n",
        "*1\r\n*2\r\n$3\r\nx-y\r\n*0\r\n", "*1\r\n*2\r\n$3\r\n1-0\r\n*1\r\n$1\r\na\r\n",
        "*1\r\n*2\r\n$3\r\n1-0\r\n:5\r\n",
        "*1\r\n*1\r\n$3\r\n1-0\r\n", "*1\r\n*2\r\n:1\r\n*0\r\n", "*1\r\n*2\r\n*0\r\n*0\r\n",
        "*1\r\n*3\r\n$1\r\ns\r\n*0\r\n*0\r\n", "*4\r\n:1\r\n$1\r\nx\r\n$1\r\ny\r\n*0\r\n",
        "*4\r\n:1\r\n$-1\r\n$-1\r\n*1\r\n*2\r\n$1\r\nc\r\n$1\r\nx\r\n", "*2\r\n$1\r\nx\r\n*0\r\n",
        "*3\r\n$3\r\n0-0\r\n*0\r\n:1\r\n", "*1\r\n*4\r\n$3\r\n1-0\r\n:1\r\n:1\r\n:1\r\n",
        "*1\r\n*4\r\n$3\r\n1-0\r\n$1\r\nc\r\n$1\r\nx\r\n:1\r\n",
        "*1\r\n*3\r\n$4\r\nname\r\n$1\r\ng\r\n$7\r\npending\r\n",
        "*1\r\n*2\r\n$4\r\nname\r\n:1\r\n", "*2\r\n$6\r\nlength\r\n:1\r\n", "*2\r\n$6\r\nmaster\r\n:1\r\n",
        "*2\r\n$5\r\nslave\r\n:1\r\n", "*2\r\n$8\r\nsentinel\r\n:1\r\n", "*1\r\n-ERR inside\r\n",
    ]

    /// The exceptions, which are valid for these commands: a text, a role without details, a host and a port, two counts,
    /// and an empty stream.
    static let accepted: [String: [String]] = [
        "INFO": ["+QUEUED\r\n"],
        "ROLE": [
            "*1\r\n+QUEUED\r\n", "*2\r\n$1\r\nx\r\n*0\r\n", "*2\r\n$6\r\nlength\r\n:1\r\n",
            "*3\r\n$3\r\n0-0\r\n*0\r\n:1\r\n",
        ],
        "SENTINEL GET-MASTER-ADDR-BY-NAME m": [
            "*2\r\n$6\r\nlength\r\n:1\r\n", "*2\r\n$6\r\nmaster\r\n:1\r\n", "*2\r\n$5\r\nslave\r\n:1\r\n",
            "*2\r\n$8\r\nsentinel\r\n:1\r\n",
        ],
        "SENTINEL MYID": ["+QUEUED\r\n"],
        "WAITAOF 1 1 1000": ["*2\r\n:1\r\n:2\r\n"],
        "XREAD STREAMS s 0-0": ["*1\r\n*2\r\n$3\r\nx-y\r\n*0\r\n"],
        "XREADGROUP GROUP g c STREAMS s >": ["*1\r\n*2\r\n$3\r\nx-y\r\n*0\r\n"],
    ]

    @Test(arguments: commands, shapes)
    func `A reply of a shape that the command does not expect is an error`(
        command: ReadingCase,
        shape: String
    ) {
        if Self.accepted[command.testDescription]?.contains(shape) == true { return }
        let failure = command.decode(reply(shape))
        #expect(failure?.code == .unexpectedReply)
        #expect(failure?.command != nil)
    }

    @Test(arguments: commands, (1...8).map(UInt64.init))
    func `Random replies are read or refused, and never trap`(command: ReadingCase, seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<60 {
            let value = RESPFuzzTests.randomValue(depth: 0, using: &random)
            var reader = RESPReader()
            var failure: RedisError?
            _ = error { () throws(RedisError) in try reader.take(value.wire) { failure = command.decode($0) } }
            #expect(failure == nil || failure?.code == .unexpectedReply)
        }
    }

    /// Replies of valid shapes with numbers at the limits of `Int`, or negative.
    @Test(arguments: commands, ["9223372036854775807", "-9223372036854775808", "-1"])
    func `Numbers at the limits never trap`(command: ReadingCase, number: String) {
        let n = ":\(number)\r\n"
        let fields = [
            "length", "groups", "pending", "consumers", "idle", "inactive", "lag", "entries-read", "idmp-duration",
        ]
        let info =
            fields.map { "$\($0.utf8.count)\r\n\($0)\r\n\(n)" }.joined() + "$17\r\nlast-generated-id\r\n$3\r\n1-0\r\n"
        let named = info + "$4\r\nname\r\n$1\r\ng\r\n$17\r\nlast-delivered-id\r\n$3\r\n1-0\r\n"
        let shapes = [
            n, "*1\r\n\(n)", "*4\r\n\(n)$-1\r\n$-1\r\n*1\r\n*2\r\n$1\r\nc\r\n\(n)",
            "*1\r\n*4\r\n$3\r\n1-0\r\n$1\r\nc\r\n\(n)\(n)", "*3\r\n$6\r\nmaster\r\n\(n)*0\r\n",
            "*4\r\n$5\r\nslave\r\n$1\r\nh\r\n\(n)$1\r\nx\r\n", "*\(fields.count * 2 + 2)\r\n\(info)",
            "*1\r\n*\(fields.count * 2 + 6)\r\n\(named)",
        ]
        for shape in shapes {
            let failure = command.decode(reply(shape))
            #expect(failure == nil || failure?.code == .unexpectedReply)
        }
    }
}
