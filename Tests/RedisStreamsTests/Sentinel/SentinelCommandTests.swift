import NIOCore
import Testing

@testable import RedisStreams

@Suite struct SentinelCommandTests {
    @Test func `The questions have the names of the documentation`() {
        #expect(
            arguments(SENTINEL.GETMASTERADDRBYNAME(master: "mymaster"))
                == ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"]
        )
        #expect(arguments(SENTINEL.MASTER(master: "mymaster")) == ["SENTINEL", "MASTER", "mymaster"])
        #expect(arguments(SENTINEL.SENTINELS(master: "mymaster")) == ["SENTINEL", "SENTINELS", "mymaster"])
        #expect(arguments(SENTINEL.MYID()) == ["SENTINEL", "MYID"])
        #expect(arguments(SUBSCRIBE(channel: "+switch-master")) == ["SUBSCRIBE", "+switch-master"])
    }

    @Test func `The address of a master, and that there is none`() throws {
        let command = SENTINEL.GETMASTERADDRBYNAME(master: "m")
        #expect(try command.decode(reply("*2\r\n$3\r\n::1\r\n$4\r\n6379\r\n")) == .init(host: "::1", port: 6379))
        #expect(try command.decode(reply("*-1\r\n")) == nil)
        #expect(throws: RedisError.self) { try command.decode(reply("*2\r\n$3\r\n::1\r\n$1\r\nx\r\n")) }
    }

    @Test func `The epoch is found by its name, wherever it stands`() throws {
        let command = SENTINEL.MASTER(master: "m")
        let text = "*4\r\n$4\r\nname\r\n$1\r\nm\r\n$12\r\nconfig-epoch\r\n$2\r\n17\r\n"
        #expect(try command.decode(reply(text)) == 17)
        let negative = "*2\r\n$12\r\nconfig-epoch\r\n$2\r\n-1\r\n"
        #expect(throws: RedisError.self) { try command.decode(reply(negative)) }
    }

    @Test func `Other sentinels without an id are left out, and no more than 64 are read`() throws {
        func sentinel(_ number: Int, id: String) -> String {
            let fields = ["ip", "10.0.0.1", "port", "\(number)", "runid", id]
            return "*6\r\n" + fields.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined()
        }
        let command = SENTINEL.SENTINELS(master: "m")
        let two = try command.decode(reply("*2\r\n" + sentinel(1, id: "a") + sentinel(2, id: "")))
        #expect(two == [.init(address: .init(host: "10.0.0.1", port: 1), id: "a")])
        let many = try command.decode(reply("*100\r\n" + (1...100).map { sentinel($0, id: "a") }.joined()))
        #expect(many.count == 64)
    }
}

@Suite struct AcknowledgedIDsTests {
    private static func time(_ seconds: Int) -> NIODeadline { .uptimeNanoseconds(UInt64(seconds) * 1_000_000_000) }

    private static func ids(_ range: ClosedRange<UInt64>) -> [StreamID] { range.map { StreamID(milliseconds: $0) } }

    @Test func `Ids are kept for fifteen seconds`() {
        var acknowledged = AcknowledgedIDs()
        acknowledged.add(Self.ids(1...2), at: Self.time(0))
        acknowledged.add(Self.ids(3...3), at: Self.time(15))
        #expect(acknowledged.among(Self.ids(2...4)) == Self.ids(2...3))
        acknowledged.add(Self.ids(4...4), at: Self.time(16))
        #expect(acknowledged.among(Self.ids(1...4)) == Self.ids(3...4))
    }

    @Test func `The oldest are forgotten when there are too many`() {
        var acknowledged = AcknowledgedIDs()
        for start in stride(from: UInt64(1), through: 200_000, by: 1000) {
            acknowledged.add(Self.ids(start...start + 999), at: Self.time(0))
        }
        #expect(acknowledged.count == AcknowledgedIDs.limit)
        #expect(acknowledged.among(Self.ids(100_000...100_001)) == Self.ids(100_001...100_001))
    }
}
