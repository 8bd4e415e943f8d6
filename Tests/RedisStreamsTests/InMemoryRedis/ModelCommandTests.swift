@testable import RedisStreams
@testable import RedisStreamsTesting
import Testing

/// A few commands, and the reply to the last one. The conformance tests of the integration tests compare thousands more
/// with real servers.
struct ModelCase: Sendable, CustomTestStringConvertible {
    let commands: [String]
    let reply: String
    var version = InMemoryRedis.Version.redis7_0

    init(_ commands: String..., gives reply: String) {
        self.commands = commands
        self.reply = reply
    }

    init(_ version: InMemoryRedis.Version, _ commands: String..., gives reply: String) {
        self.version = version
        self.commands = commands
        self.reply = reply
    }

    var testDescription: String { "\(version.rawValue): \(commands.last ?? "")" }

    func check() {
        let table = ModelTable(version)
        for command in commands.dropLast() { table.run(command) }
        #expect(table.run(commands.last ?? "") == reply)
    }
}

@Suite struct ModelCommandTests {
    @Test(arguments: [
        ModelCase("XADD s 5-1 a 1", gives: "$3 5-1"),
        ModelCase("XADD s * a 1", gives: "$9 1000000-0"),
        ModelCase("XADD s 2000000-7 a 1", "XADD s * a 2", gives: "$9 2000000-8"),
        ModelCase("XADD s 5-1 a 1", "XADD s 5-* a 2", gives: "$3 5-2"),
        ModelCase(.redis6_2, "XADD s 5-* a 2", gives: "-ERR Invalid stream ID specified as stream command argument"),
        ModelCase("XADD s NOMKSTREAM 5-1 a 1", gives: "$-1"),
        ModelCase("XADD s 0-0 a 1", gives: "-ERR The ID specified in XADD must be greater than 0-0"),
        ModelCase(
            "XADD s 5-1 a 1",
            "XADD s 5-1 a 1",
            gives: "-ERR The ID specified in XADD is equal or smaller than the target stream top item"
        ),
        ModelCase(
            "XADD s 18446744073709551615-18446744073709551615 a 1",
            "XADD s * a 1",
            gives: "-ERR The stream has exhausted the last possible ID, unable to add more items"
        ),
        ModelCase("XADD s 1-0 a 1", "XADD s MAXLEN = 1 2-0 a 1", "XLEN s", gives: ":1"),
        ModelCase("XADD s 1-0 a 1", "XADD s MAXLEN ~ 1 2-0 a 1", "XLEN s", gives: ":2"),
        ModelCase("XADD s 1-0 a 1", "XADD s 2-0 a 1", "XTRIM s MINID 2", gives: ":1"),
        ModelCase("XADD s 1-0 a 1", "XRANGE s - +", gives: "*1 *2 $3 1-0 *2 $1 a $1 1"),
        ModelCase("XADD s 1-0 a 1", "XRANGE s (1-0 +", gives: "*0"),
        ModelCase("XADD s 1-0 a 1", "XREVRANGE s + - COUNT 0", gives: "*-1"),
        ModelCase("SET s x", "XLEN s", gives: "-WRONGTYPE Operation against a key holding the wrong kind of value"),
        ModelCase("XADD s MAXLEN = 5", gives: "-ERR wrong number of arguments for 'xadd' command"),
        ModelCase(.redis6_2, "XADD s MAXLEN = 5", gives: "-ERR wrong number of arguments for XADD"),
        ModelCase("XADD s +1-+2 a 1", gives: "$3 1-2"),
        ModelCase("XADD s 7--01 a 1", gives: "$22 7-18446744073709551615"),
        ModelCase("XADD s 7--1 a 1", gives: "-ERR Invalid stream ID specified as stream command argument"),
        ModelCase("XADD s 7-+ a 1", gives: "-ERR Invalid stream ID specified as stream command argument"),
        ModelCase(
            .redis8_2,
            "XADD s KEEPREF ACKED 5-0 a 1",
            gives: "-ERR Invalid stream ID specified as stream command argument"
        ),
        ModelCase(.redis6_2, "XSETID s x", gives: "-ERR no such key"),
        ModelCase("XSETID s x", gives: "-ERR Invalid stream ID specified as stream command argument"),
    ])
    func `Entries are added, trimmed and read`(_ example: ModelCase) { example.check() }

    @Test(arguments: [
        ModelCase(
            "XREADGROUP GROUP g c STREAMS s >",
            gives: "-NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option"
        ),
        ModelCase(
            "XGROUP CREATE s g 0 MKSTREAM",
            "XGROUP CREATE s g 0",
            gives: "-BUSYGROUP Consumer Group name already exists"
        ),
        ModelCase("XGROUP CREATE s g 0 MKSTREAM", "XREADGROUP GROUP g c STREAMS s >", gives: "*-1"),
        ModelCase("XGROUP CREATE s g 0 MKSTREAM", "XREADGROUP GROUP g c STREAMS s 0", gives: "*1 *2 $1 s *0"),
        ModelCase("XACK s g 1-0", gives: ":0"),
        ModelCase("XPENDING s g", gives: "-NOGROUP No such key 's' or consumer group 'g'"),
        ModelCase(
            .redis8_2,
            "XGROUP CREATE s g 0 MKSTREAM",
            "XADD s 1-0 a 1",
            "XREADGROUP GROUP g c STREAMS s >",
            "XACKDEL s g IDS 2 1-0 2-0",
            gives: "*2 :1 :-1"
        ),
        ModelCase(
            "XACKDEL s g IDS 1 1-0",
            gives: "-ERR unknown command 'XACKDEL', with args beginning with: 's' 'g' 'IDS' '1' '1-0' "
        ),
    ])
    func `Groups deliver and acknowledge`(_ example: ModelCase) { example.check() }

    @Test(arguments: [
        (InMemoryRedis.Version.redis6_2, "*2 $3 0-0 *1 $-1"), (.redis7_0, "*3 $3 0-0 *0 *1 $3 1-0"),
    ])
    func `XAUTOCLAIM claims a deleted entry as null on Redis 6_2, and lists it as deleted later`(
        version: InMemoryRedis.Version,
        reply: String
    ) {
        let table = ModelTable(version)
        table.run("XGROUP CREATE s g 0 MKSTREAM")
        table.run("XADD s 1-0 a 1")
        table.run("XREADGROUP GROUP g c STREAMS s >")
        table.run("XDEL s 1-0")
        #expect(table.run("XREADGROUP GROUP g c STREAMS s 0") == "*1 *2 $1 s *1 *2 $3 1-0 *-1")
        #expect(table.run("XAUTOCLAIM s g d 0 0") == reply)
    }

    @Test func `Idle times follow the wall clock, and are 0 after it stepped back`() {
        let table = ModelTable()
        for command in ["XGROUP CREATE s g 0 MKSTREAM", "XADD s 1-0 a 1", "XREADGROUP GROUP g c STREAMS s >"] {
            table.run(command)
        }
        _ = table.advance(5000)
        #expect(table.run("XPENDING s g - + 9") == "*1 *4 $3 1-0 $1 c :5000 :1")
        _ = table.advance(0, jumping: -3_600_000)
        #expect(table.run("XPENDING s g - + 9") == "*1 *4 $3 1-0 $1 c :0 :1")
        #expect(table.run("XAUTOCLAIM s g d 1 0") == "*3 $3 0-0 *0 *0")
    }

    @Test(arguments: [
        (
            InMemoryRedis.Version.redis6_2,
            Array(repeating: "-ERR Invalid stream ID specified as stream command argument", count: 4)
        ),
        (.redis7_0, Array(repeating: "-ERR Invalid stream ID specified as stream command argument", count: 4)),
        (
            .redis8_2,
            ["*1 *2 $1 s *1 *2 $3 2-0 *2 $1 a $1 1"]
                + Array(repeating: "*1 *2 $1 s *1 *2 $3 1-0 *2 $1 a $1 1", count: 2) + ["*-1"]
        ),
        (.valkey9_1, ["*1 *2 $1 s *1 *2 $3 2-0 *2 $1 a $1 1", "*-1", "*-1", "*-1"]),
    ])
    func `XREAD with + finds the last entry as each version does`(
        version: InMemoryRedis.Version,
        replies: [String]
    ) {
        let table = ModelTable(version)
        for entry in ["1-0", "2-0"] { table.run("XADD s \(entry) a 1") }
        let found = ["PING", "XDEL s 2-0", "XSETID s 9-0", "XDEL s 1-0"].map { command in
            table.run(command)
            return table.run("XREAD STREAMS s +")
        }
        #expect(found == replies)
    }

    @Test(arguments: InMemoryRedis.Version.allCases)
    func `CONFIG SET changes the size of nodes, and so approximate trimming`(
        version: InMemoryRedis.Version
    ) {
        let table = ModelTable(version)
        #expect(table.run("CONFIG SET stream-node-max-entries 2") == "+OK")
        for entry in 1...6 { table.run("XADD s \(entry)-0 a 1") }
        #expect(table.run("XTRIM s MAXLEN ~ 3") == ":2")
        #expect(table.run("CONFIG SET stream-node-max-bytes 1kb") == "+OK")
        #expect(table.run("CONFIG GET stream-node-max-bytes") == "*2 $21 stream-node-max-bytes $4 1024")
        #expect(
            table.run("CONFIG SET stream-node-max-entries x").hasSuffix("argument couldn't be parsed into an integer")
        )
        #expect(table.run("CONFIG SET stream-node-max-bytes x").hasSuffix("argument must be a memory value"))
    }

    @Test(arguments: InMemoryRedis.Version.allCases)
    func `HELP prints what real servers print`(version: InMemoryRedis.Version) {
        let table = ModelTable(version)
        let last = version.isAtLeast7_2 ? "Print this help." : "Prints this help."
        for (name, count) in [("XINFO", 9), ("XGROUP", version == .redis6_2 ? 14 : 17), ("CONFIG", 11)] {
            let reply = table.run("\(name) HELP")
            #expect(reply.hasPrefix("*\(count) +\(name) <subcommand> [<arg> [value] [opt] ...]. Subcommands are: +"))
            #expect(reply.hasSuffix("+HELP +    \(last)"), "\(reply)")
        }
    }

    @Test(arguments: [(["XGROUP CREATE s k 1", "XGROUP DESTROY s k"], "*1 :-1"), ([], "*1 :2")])
    func `A destroyed group counts for ACKED until one with a lower id is created`(commands: [String], reply: String) {
        let table = ModelTable(.redis8_2)
        let before = ["XADD s 3-1 a 1", "XGROUP CREATE s h $", "XTRIM s MAXLEN 0 ACKED"]
        let after = ["XADD s 9-1 a 1", "XGROUP CREATE s g $", "XGROUP DESTROY s h"]
        for command in before + commands + after { table.run(command) }
        #expect(table.run("XDELEX s ACKED IDS 1 7-1") == reply)
    }

    @Test func `A transaction fails when a watched key has changed`() {
        let table = ModelTable()
        table.run("WATCH s")
        table.run("XADD s 1-0 a 1", on: 1)
        table.run("MULTI")
        #expect(table.run("XLEN s") == "+QUEUED")
        #expect(table.run("EXEC") == "*-1")
        table.run("MULTI")
        #expect(table.run("XADD s") == "-ERR wrong number of arguments for 'xadd' command")
        #expect(table.run("EXEC") == "-EXECABORT Transaction discarded because of previous errors.")
    }

    @Test(arguments: Script.all.map(\.name))
    func `Every script of the library has its Swift twin`(name: String) throws {
        let script = try #require(Script.all.first { $0.name == name })
        #expect(NativeScript.withSHA1(Bytes(script.sha1.utf8))?.source == Bytes(script.source.utf8))
    }

    @Test func `Other scripts are refused with an error that says so`() {
        let reply = ModelTable().run("EVAL return 0")
        #expect(reply.hasPrefix("-ERR InMemoryRedis runs only the scripts of swift-redis-streams itself"))
    }

    @Test func `Keys expire`() {
        let table = ModelTable()
        table.run("SET k v PX 100")
        _ = table.advance(99)
        #expect(table.run("PTTL k") == ":1")
        _ = table.advance(1)
        #expect(table.run("EXISTS k") == ":0")
    }
}
