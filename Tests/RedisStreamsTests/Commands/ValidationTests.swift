import Testing

@testable import RedisStreams

/// A command with arguments that must be refused.
struct RefusedCase: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let refusal: RedisError?

    init(_ description: String, _ command: some RedisCommand) {
        testDescription = description
        refusal = error { () throws(RedisError) in try command.validate() }
    }
}

/// A command with the versions that it needs.
struct RequirementCase: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let requirement: ServerRequirement?
    let redis: String?
    let valkey: String?

    init(_ command: some RedisCommand, redis: String?, valkey: String? = nil) {
        testDescription = arguments(command).joined(separator: " ")
        requirement = command.requirement
        self.redis = redis
        self.valkey = valkey
    }
}

@Suite struct ValidationTests {
    static let id = StreamID(milliseconds: 5)
    static let f: StreamFieldsToAdd = ["f": "v"]

    static let refused: [RefusedCase] = [
        RefusedCase("an entry without fields", XADD("s", [:])),
        RefusedCase("id 0-0", XADD("s", f, id: .id(.zero))),
        RefusedCase("negative length", XADD("s", f, trim: .exactly(maxLength: -1))),
        RefusedCase("negative limit", XADD("s", f, trim: .approximately(minID: id, limit: -1))),
        RefusedCase("idempotency with an id", XADD("s", f, id: .id(id), idempotency: .contents(producer: "p"))),
        RefusedCase("no producer", XADD("s", f, idempotency: .contents(producer: ""))),
        RefusedCase("no message id", XADD("s", f, idempotency: .id("", producer: "p"))),
        RefusedCase("negative length", XTRIM("s", .approximately(maxLength: -1))),
        RefusedCase("negative bytes", XTRIM("s", .exactly(maxBytes: -1))),
        RefusedCase("no ids", XDEL("s", ids: [])),
        RefusedCase("no ids", XDELEX("s", ids: [])),
        RefusedCase("no ids", XACK("s", group: "g", ids: [])),
        RefusedCase("no ids", XACKDEL("s", group: "g", ids: [])),
        RefusedCase("no ids", XNACK("s", group: "g", .fail, ids: [])),
        RefusedCase("negative count", XNACK("s", group: "g", .fail, ids: [id], deliveryCount: -1)),
        RefusedCase("count 0", XRANGE("s", count: 0)),
        RefusedCase("count 0", XREVRANGE("s", count: 0)),
        RefusedCase("no streams", XREAD([])),
        RefusedCase("count 0", XREAD([StreamOffset("s")], count: 0)),
        RefusedCase("BLOCK 0", XREAD([StreamOffset("s")], block: .zero)),
        RefusedCase("negative BLOCK", XREAD([StreamOffset("s")], block: .seconds(-1))),
        RefusedCase("MAXCOUNT 0", XREAD([StreamOffset("s")], maxCount: 0)),
        RefusedCase("MAXSIZE 0", XREAD([StreamOffset("s")], maxSize: 0)),
        RefusedCase("MAXCOUNT below COUNT", XREAD([StreamOffset("s")], count: 5, maxCount: 4)),
        RefusedCase(
            "MAXCOUNT below COUNT",
            XREADGROUP(group: "g", consumer: "c", streams: [GroupOffset("s")], count: 5, maxCount: 4)
        ),
        RefusedCase("no streams", XREADGROUP(group: "g", consumer: "c", streams: [])),
        RefusedCase("BLOCK 0", XREADGROUP(group: "g", consumer: "c", streams: [GroupOffset("s")], block: .zero)),
        RefusedCase("count -1", XREADGROUP(group: "g", consumer: "c", streams: [GroupOffset("s")], count: -1)),
        RefusedCase(
            "negative CLAIM",
            XREADGROUP(group: "g", consumer: "c", streams: [GroupOffset("s")], claim: .seconds(-1))
        ),
        RefusedCase("count 0", XPENDING.Entries("s", group: "g", count: 0)),
        RefusedCase("negative idle time", XPENDING.Entries("s", group: "g", count: 1, minIdle: .seconds(-1))),
        RefusedCase("no ids", XCLAIM("s", group: "g", consumer: "c", minIdle: .zero, ids: [])),
        RefusedCase("negative idle time", XCLAIM("s", group: "g", consumer: "c", minIdle: .seconds(-1), ids: [id])),
        RefusedCase(
            "negative IDLE",
            XCLAIM("s", group: "g", consumer: "c", minIdle: .zero, ids: [id], delivery: .idle(.seconds(-1)))
        ),
        RefusedCase(
            "no ids, JUSTID",
            XCLAIM.JUSTID(XCLAIM("s", group: "g", consumer: "c", minIdle: .zero, ids: []))
        ),
        RefusedCase("count 0", XAUTOCLAIM("s", group: "g", consumer: "c", minIdle: .zero, count: 0)),
        RefusedCase("huge count", XAUTOCLAIM("s", group: "g", consumer: "c", minIdle: .zero, count: .max)),
        RefusedCase("ENTRIESREAD -2", XGROUP.CREATE("s", group: "g", entriesRead: -2)),
        RefusedCase("count -1", XINFO.STREAMFULL("s", count: -1)),
        RefusedCase("ENTRIESADDED -1", XSETID("s", lastID: id, entriesAdded: -1)),
        RefusedCase("nothing to set", XCFGSET("s")),
        RefusedCase("duration 0", XCFGSET("s", idempotencyDuration: .zero)),
        RefusedCase("size 0", XCFGSET("s", idempotencyMaxSize: 0)),
        RefusedCase("a duration above a day", XCFGSET("s", idempotencyDuration: .milliseconds(86_400_001))),
        RefusedCase("size 10,001", XCFGSET("s", idempotencyMaxSize: 10_001)),
        RefusedCase("no keys", DEL([])),
        RefusedCase("no keys", EXISTS([])),
        RefusedCase("0 seconds", EXPIRE("s", after: .zero)),
        RefusedCase("not a SHA-1", EVALSHA("abc")),
        RefusedCase("id 0", CLIENT.KILL(id: 0)),
        RefusedCase("id 0", CLIENT.UNBLOCK(id: 0)),
        RefusedCase("a space", CLIENT.SETNAME("a b")),
        RefusedCase("a line break", CLIENT.SETNAME("a\n")),
        RefusedCase("negative database", SELECT(-1)),
        RefusedCase("WAIT 0", WAIT(replicas: 1, timeout: .zero)),
        RefusedCase("negative replicas", WAIT(replicas: -1, timeout: .seconds(1))),
        RefusedCase("WAITAOF 0", WAITAOF(local: true, replicas: 1, timeout: .zero)),
        RefusedCase("negative replicas", WAITAOF(local: true, replicas: -1, timeout: .seconds(1))),
    ]

    @Test(arguments: refused)
    func `A command refuses arguments that no server would accept`(command: RefusedCase) {
        #expect(command.refusal?.code == .invalidArgument)
        #expect(command.refusal?.command != nil)
    }

    static let requirements: [RequirementCase] = [
        RequirementCase(XADD("s", f, trim: .approximately(maxLength: 1)), redis: nil),
        RequirementCase(XADD("s", f, id: .milliseconds(1)), redis: "7.0", valkey: "7.2"),
        RequirementCase(XADD("s", f, references: .keep), redis: "8.2"),
        RequirementCase(XADD("s", f, references: .keep, idempotency: .contents(producer: "p")), redis: "8.6"),
        RequirementCase(XTRIM("s", .exactly(maxLength: 1)), redis: nil),
        RequirementCase(XTRIM("s", .exactly(maxLength: 1), references: .delete), redis: "8.2"),
        RequirementCase(XTRIM("s", .exactly(maxBytes: 1)), redis: nil, valkey: "9.2"),
        RequirementCase(XADD("s", f, trim: .approximately(maxBytes: 1)), redis: nil, valkey: "9.2"),
        RequirementCase(XREAD([.lastEntry(of: "s")]), redis: "7.4", valkey: "8.0"),
        RequirementCase(XREAD([.lastEntry(of: "s")], maxCount: 1), redis: "8.10"),
        RequirementCase(XACKDEL("s", group: "g", ids: [id]), redis: "8.2", valkey: "9.2"),
        RequirementCase(XDELEX("s", ids: [id]), redis: "8.2", valkey: "9.2"),
        RequirementCase(XNACK("s", group: "g", .fail, ids: [id]), redis: "8.8"),
        RequirementCase(XCFGSET("s", idempotencyMaxSize: 1), redis: "8.6"),
        RequirementCase(XREAD([StreamOffset("s")], count: 1, block: .seconds(1)), redis: nil),
        RequirementCase(XREAD([StreamOffset("s")], maxSize: 1), redis: "8.10"),
        RequirementCase(XREADGROUP(group: "g", consumer: "c", streams: [GroupOffset("s")], noAck: true), redis: nil),
        RequirementCase(
            XREADGROUP(group: "g", consumer: "c", streams: [GroupOffset("s")], claim: .seconds(1)),
            redis: "8.4"
        ),
        RequirementCase(
            XREADGROUP(group: "g", consumer: "c", streams: [GroupOffset("s")], claim: .zero, maxCount: 1),
            redis: "8.10"
        ),
        RequirementCase(XAUTOCLAIM("s", group: "g", consumer: "c", minIdle: .zero), redis: nil),
        RequirementCase(XGROUP.CREATE("s", group: "g"), redis: nil),
        RequirementCase(XGROUP.CREATE("s", group: "g", entriesRead: 1), redis: "7.0", valkey: "7.2"),
        RequirementCase(XGROUP.SETID("s", group: "g", to: .latest, entriesRead: 1), redis: "7.0", valkey: "7.2"),
        RequirementCase(XSETID("s", lastID: id, maxDeletedID: .zero), redis: "7.0", valkey: "7.2"),
        RequirementCase(EXPIRE("s", after: .seconds(1), .ifNone), redis: "7.0", valkey: "7.2"),
        RequirementCase(WAITAOF(local: true, replicas: 0, timeout: .seconds(1)), redis: "7.2", valkey: "7.2"),
    ]

    @Test(arguments: requirements)
    func `A command needs the newest version that one of its options needs`(command: RequirementCase) {
        #expect(command.requirement?.redis == command.redis)
        #expect(command.requirement?.valkey == command.valkey)
    }

    static let servers: [(info: String, redis: String, valkey: String?, isMet: Bool)] = [
        ("redis_version:8.2.0", "8.2", "9.2", true),
        ("redis_version:8.10.1", "8.2", nil, true),
        ("redis_version:8.2.9", "8.10", nil, false),
        ("redis_version:7.0.15", "8.2", "9.2", false),
        ("redis_version:255.255.255", "8.10", nil, true),
        ("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.2.0", "8.2", "9.2", true),
        ("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2", "8.2", "9.2", false),
        ("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:99.0.0", "8.6", nil, false),
        ("used_memory:1", "8.6", nil, true),
        ("redis_version:unstable", "8.6", nil, true),
    ]

    @Test func `The error for a feature that only Valkey has names Valkey`() {
        let requirement = ServerRequirement("XTRIM with MAXBYTES", redis: nil, valkey: "9.2")
        let redis = ServerInfo("redis_version:8.10.1")
        #expect(!requirement.isMet(by: redis))
        #expect(requirement.isMet(by: ServerInfo("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.2.0")))
        let error = requirement.error(server: redis, command: "XTRIM")
        #expect(error.message.hasPrefix("XTRIM with MAXBYTES needs Valkey 9.2; the server is Redis 8.10.1."))
    }

    @Test(arguments: servers)
    func `The version of a server determines whether it is too old`(
        server: (info: String, redis: String, valkey: String?, isMet: Bool)
    ) {
        let requirement = ServerRequirement("XNACK", redis: server.redis, valkey: server.valkey)
        let info = ServerInfo(server.info)
        #expect(requirement.isMet(by: info) == server.isMet)
        let error = requirement.error(server: info, command: "XNACK")
        #expect(error.code == .unsupportedByServer)
        #expect(error.message.contains("XNACK needs Redis \(server.redis)"))
    }
}
