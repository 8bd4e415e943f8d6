import Testing

@testable import RedisStreams

@Suite struct RESPReaderTests {
    @Test(arguments: GoldenReply.all)
    func `A reply that arrives whole is read`(golden: GoldenReply) {
        #expect(outcome(ofFeeding: [golden.wire]) == Outcome(replies: [golden.value]))
    }

    @Test(arguments: GoldenReply.all)
    func `A reply that arrives byte by byte is read`(golden: GoldenReply) {
        #expect(outcome(ofFeeding: golden.wire.map { [$0] }) == Outcome(replies: [golden.value]))
    }

    @Test(arguments: GoldenReply.all)
    func `A reply that is cut anywhere is read`(golden: GoldenReply) {
        for place in 0...golden.wire.count {
            let pieces = [golden.wire[..<place], golden.wire[place...]]
            #expect(outcome(ofFeeding: pieces) == Outcome(replies: [golden.value]), "cut at \(place)")
        }
    }

    @Test(arguments: GoldenReply.all)
    func `An incomplete reply is not delivered`(golden: GoldenReply) {
        for length in 0..<golden.wire.count {
            #expect(outcome(ofFeeding: [golden.wire.prefix(length)]) == Outcome(), "\(length) bytes")
        }
    }

    @Test func `Replies back to back in one piece are all read, in order`() {
        let wire = GoldenReply.all.flatMap(\.wire)
        #expect(outcome(ofFeeding: [wire]) == Outcome(replies: GoldenReply.all.map(\.value)))
    }

    @Test func `Replies back to back that are cut anywhere are all read, in order`() {
        let wire = GoldenReply.all.flatMap(\.wire)
        let expected = Outcome(replies: GoldenReply.all.map(\.value))
        for place in wire.indices {
            #expect(outcome(ofFeeding: [wire[..<place], wire[place...]]) == expected, "cut at \(place)")
        }
        #expect(outcome(ofFeeding: wire.map { [$0] }) == expected)
    }

    @Test(arguments: GoldenReply.all)
    func `A partial reply keeps its strings when the complete replies before it are delivered`(
        golden: GoldenReply
    ) {
        let before = Value.array([.bulk("before"), .integer(1), .simple("and"), .error("ERR x")])
        let expected = Outcome(replies: [before, before, golden.value, before])
        for place in 0...golden.wire.count {
            let first: [UInt8] = before.wire + before.wire + golden.wire[..<place]
            let second: [UInt8] = golden.wire[place...] + before.wire
            let pieces = [first, second]
            #expect(outcome(ofFeeding: pieces) == expected, "cut at \(place)")
        }
    }

    @Test(arguments: [1000, 4096, 65_537])
    func `A bulk string longer than the line limit is read, whatever pieces it arrives in`(length: Int) {
        let long = Value.bulk((0..<200_000).map { UInt8(truncatingIfNeeded: $0) })
        let value = Value.array([.simple("before"), long, .array([long, .integer(1)]), .null])
        let wire = value.wire
        let pieces = stride(from: 0, to: wire.count, by: length).map { wire[$0..<min($0 + length, wire.count)] }
        #expect(outcome(ofFeeding: pieces) == Outcome(replies: [value]))
    }

    @Test func `A bulk string longer than the line limit is read when it is cut anywhere near its ends`() {
        let limit = RESPLimits().maxLineBytes
        let value = Value.array([.bulk([UInt8](repeating: 0x61, count: limit + 100)), .integer(1)])
        let wire = value.wire
        for place in Array(0..<20) + Array(limit..<wire.count) {
            #expect(outcome(ofFeeding: [wire[..<place], wire[place...]]) == Outcome(replies: [value]), "at \(place)")
        }
    }

    @Test func `An empty piece changes nothing`() {
        #expect(outcome(ofFeeding: [[], Array("+O".utf8), [], Array("K\r\n".utf8), []]).replies == [.simple("OK")])
    }

    @Test func `A reply lives longer than the reader that read it`() throws {
        var kept: RedisReply?
        do {
            var reader = RESPReader()
            try reader.take(Array("*2\r\n$3\r\nabc\r\n:5\r\n+next\r\n".utf8)) { kept = kept ?? $0 }
        }
        #expect(kept.map(Value.init) == .array([.bulk("abc"), .integer(5)]))
    }
}
