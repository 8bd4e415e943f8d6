import Testing

@testable import RedisStreams

@Suite struct RawCommandTests {
    static let blocking: [(RawCommand, Duration?)] = [
        (RawCommand("PING"), nil),
        (RawCommand("XREAD", "STREAMS", "s", "0"), nil),
        (RawCommand("xread", "block", "1500", "STREAMS", "s", "0"), .milliseconds(1500)),
        (RawCommand("XREAD", "COUNT", "5", "BLOCK", 20, "STREAMS", "s", "0"), .milliseconds(20)),
        (RawCommand("XREAD", "COUNT", "5", "STREAMS", "BLOCK", "0"), nil),
        (RawCommand("XREADGROUP", "GROUP", "BLOCK", "0", "STREAMS", "s", ">"), nil),
        (
            RawCommand("XREADGROUP", "GROUP", "g", "BLOCK", "COUNT", "1", "BLOCK", "7", "STREAMS", "s", ">"),
            .milliseconds(7)
        ),
        (
            RawCommand("XREADGROUP", "GROUP", "g", "c", "NOACK", "CLAIM", "1", "BLOCK", "7", "STREAMS", "s", ">"),
            .milliseconds(7)
        ),
        (RawCommand("BLPOP", "a", "b", "1.5"), .milliseconds(1500)),
        (RawCommand("BRPOP", "a", .bytes(Array("2".utf8))), .seconds(2)),
        (RawCommand("BRPOPLPUSH", "a", "b", "2"), .seconds(2)),
        (RawCommand("BLMOVE", "a", "b", "LEFT", "RIGHT", "2"), .seconds(2)),
        (RawCommand("BLMPOP", "2", "1", "a", "LEFT"), .seconds(2)),
        (RawCommand("BZMPOP", "2", "1", "a", "MIN"), .seconds(2)),
        (RawCommand("BZPOPMIN", "a", "2"), .seconds(2)),
        (RawCommand("BZPOPMAX", "a", "2"), .seconds(2)),
        (RawCommand("WAIT", "1", "100"), .milliseconds(100)),
        (RawCommand("WAITAOF", "1", "1", "100"), .milliseconds(100)),
        (RawCommand("LPUSH", "BLPOP", "0"), nil),
    ]

    @Test(arguments: blocking)
    func `The arguments of a raw command determine whether it blocks`(command: RawCommand, time: Duration?) {
        #expect(command.blockingTime == time)
        let refusal = error { () throws(RedisError) in try command.validate() }
        #expect(refusal?.code == nil)
    }

    static let refused: [RawCommand] = [
        RawCommand(), RawCommand(""),
        RawCommand("XREAD", "BLOCK", "0", "STREAMS", "s", "0"), RawCommand("xread", "block", 0, "STREAMS", "s", "0"),
        RawCommand("XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">"),
        RawCommand("XREAD", "BLOCK"), RawCommand("XREAD", "BLOCK", "soon", "STREAMS", "s", "0"),
        RawCommand("XREAD", "BLOCK", "-1", "STREAMS", "s", "0"),
        RawCommand("BLPOP", "a", "0"), RawCommand("BLPOP", "a", "0.0001"), RawCommand("BLPOP", "a"),
        RawCommand("BLPOP"),
        RawCommand("BLPOP", "a", "inf"), RawCommand("BLPOP", "a", "nan"), RawCommand("BLPOP", "a", "1e300"),
        RawCommand("BLMPOP", "0", "1", "a", "LEFT"), RawCommand("WAIT", "1", "0"), RawCommand("WAIT"),
        RawCommand("SUBSCRIBE", "c"), RawCommand("psubscribe", "c"), RawCommand("MONITOR"), RawCommand("MULTI"),
        RawCommand("EXEC"), RawCommand("WATCH", "k"), RawCommand("SELECT", 1), RawCommand("AUTH", "hunter2"),
        RawCommand("REPLCONF", "ACK", "0"), RawCommand("replconf"), RawCommand("PSYNC", "?", "-1"),
        RawCommand("CLUSTER", "syncslots", "ESTABLISH"), RawCommand("SCRIPT", "DEBUG", "YES"), RawCommand("RESET"),
        RawCommand("XREAD", "BLOCK", "86400001", "STREAMS", "s", "0"), RawCommand("WAIT", "1", "\(Int.max)"),
        RawCommand("BLPOP", "a", "86400.001"),
        RawCommand("HELLO", 3), RawCommand("QUIT"), RawCommand("client", "reply", "OFF"), RawCommand("SYNC"),
    ]

    @Test(arguments: ["GET foo", "SET foo hunter2", "GET\tfoo", " GET"])
    func `A whole line as one argument is refused with a hint, and not repeated`(line: String) {
        let refusal = error { () throws(RedisError) in try RawCommand(.text(line)).validate() }
        #expect(refusal?.code == .invalidArgument)
        #expect(refusal?.message.contains("give each argument by itself") == true)
        #expect(refusal?.description.contains("foo hunter2") == false)
    }

    @Test(arguments: refused)
    func `A command that would wait for ever, or change a shared connection, is refused`(command: RawCommand) {
        let refusal = error { () throws(RedisError) in try command.validate() }
        #expect(refusal?.code == .invalidArgument)
        #expect(refusal?.description.contains("hunter2") == false)
    }

    static let names: [(RawCommand, String)] = [
        (RawCommand("xlen", "orders"), "XLEN"), (RawCommand("XGROUP", "create", "s"), "XGROUP CREATE"),
        (RawCommand("ACL", "SETUSER", "bob", ">hunter2"), "ACL SETUSER"),
        (RawCommand("CONFIG", "SET", "x"), "CONFIG SET"),
        (RawCommand("JSON.GET", "k"), "JSON.GET"), (RawCommand("XGROUP"), "XGROUP"), (RawCommand(), "RAW"),
        (RawCommand("hunter2 is my password"), "RAW"), (RawCommand("GET", "secret"), "GET"),
        (RawCommand(.bytes([0xff, 0xfe])), "RAW"),
    ]

    @Test(arguments: names)
    func `The name of a raw command is its first argument, with the subcommand`(
        command: RawCommand,
        name: String
    ) {
        #expect(command.name == name)
    }

    @Test func `Printing a command prints no argument`() {
        #expect("\(RawCommand("AUTH", "hunter2"))" == "AUTH")
        #expect("\(AUTH(username: "alice", password: "hunter2"))" == "AUTH")
        var dumped = ""
        dump(RawCommand("AUTH", "hunter2"), to: &dumped)
        dump(AUTH(username: "alice", password: "hunter2"), to: &dumped)
        #expect(!dumped.contains("hunter2"))
    }

    @Test func `A reply is returned as it is, and an error is thrown`() throws {
        #expect(
            try Value(RawCommand("LRANGE").response(to: reply("*2\r\n:1\r\n-ERR x\r\n")))
                == .array([.integer(1), .error("ERR x")])
        )
        let failure = error { () throws(RedisError) in
            try RawCommand("ACL", "SETUSER", "bob", ">hunter2").response(to: reply("-ERR Error in >hunter2\r\n"))
        }
        #expect(failure?.command == "ACL SETUSER")
        #expect(failure?.description.contains("hunter2") == false)
    }
}
