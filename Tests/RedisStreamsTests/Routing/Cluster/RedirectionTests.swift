import Testing

@testable import RedisStreams

@Suite struct RedirectionTests {
    private let asked = ServerAddress.tcp(host: "asked", port: 7000)

    @Test(arguments: [
        ("MOVED 3999 10.0.0.7:6381", Redirection.Kind.moved, 3999, "10.0.0.7", 6381),
        ("ASK 0 node-1.example:7000", .ask, 0, "node-1.example", 7000),
        ("MOVED 16383 2001:db8::1:6379", .moved, 16_383, "2001:db8::1", 6379),
        ("MOVED 15224 :23002", .moved, 15_224, "", 23_002),
    ])
    func `MOVED and ASK name a slot and an address`(
        text: String,
        kind: Redirection.Kind,
        slot: Int,
        host: String,
        port: Int
    ) {
        let redirection = Redirection(serverText: text)
        #expect(redirection?.kind == kind)
        #expect(redirection?.slot == slot)
        #expect(redirection?.host == host)
        #expect(redirection?.port == port)
        let error = RedisError(serverText: text, command: "XADD")
        #expect(error.code == .redirected)
        #expect(error.redirection == redirection)
    }

    @Test(arguments: [
        "MOVED", "MOVED 1", "MOVED 1 ", "MOVED  1 a:1", "MOVED 16384 a:1", "MOVED -1 a:1", "MOVED 1 a", "MOVED 1 a:",
        "MOVED 1 a:0", "MOVED 1 a:65536", "MOVED 1 a:1 b", "MOVED x a:1", "MOVED 999999999999999999999 a:1",
        "ASK 1 a:+1",
        "moved 1 a:1", "ERR MOVED 1 a:1",
    ])
    func `Anything else is no redirection`(text: String) {
        #expect(Redirection(serverText: text) == nil)
        #expect(RedisError(serverText: text, command: nil).redirection == nil)
    }

    @Test func `A node without a name is at the host that was asked`() {
        #expect(Redirection(serverText: "MOVED 1 :7002")?.address(from: asked) == .tcp(host: "asked", port: 7002))
        #expect(Redirection(serverText: "MOVED 1 b:7002")?.address(from: asked) == .tcp(host: "b", port: 7002))
    }

    @Test func `A host that no server can have is no address`() {
        #expect(Redirection(serverText: "MOVED 1 ?:7002")?.address(from: asked) == nil)
        #expect(Redirection(serverText: "MOVED 1 :7002")?.address(from: .unixSocket(path: "/s")) == nil)
    }
}

@Suite struct SlotCheckTests {
    @Test func `Keys of one slot can be used together`() throws {
        #expect(try SlotCheck.slot(of: []) == nil)
        #expect(try SlotCheck.slot(of: ["{orders}:in", "{orders}:out"]) == StreamKey("orders").slot)
    }

    @Test func `Keys of two slots are refused with their names, and what a hash tag is`() {
        let error = #expect(throws: RedisError.self) { try SlotCheck.slot(of: ["orders", "refunds"], for: "DEL") }
        #expect(error?.code == .crossSlot)
        #expect(error?.command == "DEL")
        for part in ["'orders'", "'refunds'", "hash tag", "{orders}:in"] {
            #expect(error?.message.contains(part) == true)
        }
    }

    // From the specification, and from CLUSTER KEYSLOT of Redis 7.0.
    @Test(arguments: [
        ("123456789", 12_739), ("foo", 12_182), ("{user1000}.following", 3443), ("{user1000}.followers", 3443),
        ("foo{}{bar}", 8363), ("foo{{bar}}zap", 4015), ("foo{bar}{zap}", 5061), ("", 0),
    ])
    func `The slot is that of Redis`(key: String, slot: Int) {
        #expect(StreamKey(key).slot == slot)
    }
}
