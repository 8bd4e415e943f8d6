import Testing

@testable import RedisStreams

@Suite struct RESPReaderFaultTests {
    static let faults = [
        "*9223372036854775807\r\n", "*-2\r\n", "*x\r\n",
        String(repeating: "*1\r\n", count: 9),
        "$3\r\nabcXY", "$3\r\nabc\r+", "$3\r\nabcd\r\n", "$-5\r\n", "$-2\r\n", "$x\r\n", "$99999999999999999999\r\n",
        ":x\r\n", ":\r\n", ":9223372036854775808\r\n",
        "%1\r\n+a\r\n+b\r\n", "~1\r\n+a\r\n", "#t\r\n", ",1.5\r\n", "_\r\n", "(12345678901234567890\r\n",
        "=7\r\ntxt:abc\r\n",
        ">1\r\n+a\r\n", "|1\r\n+a\r\n+b\r\n+c\r\n",
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "\u{15}\u{03}\u{01}\u{00}",
        "\r\n", " +OK\r\n",
    ]

    @Test(arguments: faults)
    func `Bytes that are not RESP2, or beyond a limit, are a protocol violation`(fault: String) {
        #expect(outcome(ofFeeding: [Array(fault.utf8)]) == Outcome(failure: .protocolViolation))
        #expect(outcome(ofFeeding: fault.utf8.map { [$0] }) == Outcome(failure: .protocolViolation), "byte by byte")
    }

    @Test(arguments: faults)
    func `Replies that were complete before the fault are delivered`(fault: String) {
        let wire = Array("+first\r\n$6\r\nsecond\r\n".utf8) + Array(fault.utf8)
        let expected = Outcome(replies: [.simple("first"), .bulk("second")], failure: .protocolViolation)
        #expect(outcome(ofFeeding: [wire]) == expected)
        #expect(outcome(ofFeeding: wire.map { [$0] }) == expected, "byte by byte")
    }

    @Test(arguments: faults)
    func `A reader that has failed fails again on every call`(fault: String) {
        var reader = RESPReader()
        var count = 0
        let first = error { () throws(RedisError) in try reader.take(Array(fault.utf8)) { _ in count += 1 } }
        let second = error { () throws(RedisError) in try reader.take(Array("+OK\r\n".utf8)) { _ in count += 1 } }
        #expect(first?.code == .protocolViolation)
        #expect(second?.message == first?.message)
        #expect(count == 0)
    }

    @Test func `The error for a peer that is not Redis suggests a wrong port or missing TLS`() {
        var reader = RESPReader()
        let http = error { () throws(RedisError) in try reader.take(Array("HTTP/1.1 200 OK\r\n".utf8)) { _ in } }
        #expect(http?.message.contains("Is this the port of a Redis server") == true)
    }

    @Test func `A reader waits for an array of the maximum length`() {
        #expect(outcome(ofFeeding: [Array("*1048576\r\n".utf8)]) == Outcome())
        var limits = RESPLimits()
        limits.maxArrayElements = 2
        #expect(outcome(ofFeeding: [Array("*2\r\n:1\r\n:2\r\n".utf8)], limits: limits).failure == nil)
        #expect(outcome(ofFeeding: [Array("*3\r\n".utf8)], limits: limits).failure == .replyTooLarge)
    }

    @Test(arguments: [
        "*2147483647\r\n", "*1048577\r\n", "$67108864\r\n", "$9223372036854775807\r\n",
        "*2\r\n$5\r\nfirst\r\n$67108845\r\n",
    ])
    func `A value that cannot fit is refused as soon as its length is announced`(header: String) {
        let wire = Array("+first\r\n".utf8) + Array(header.utf8)
        let refused = Outcome(replies: [.simple("first")], failure: .replyTooLarge)
        #expect(outcome(ofFeeding: [wire]) == refused)
        #expect(outcome(ofFeeding: wire.map { [$0] }) == refused, "byte by byte")
        // The reader knows the length only after the line has ended.
        #expect(outcome(ofFeeding: [wire.dropLast()]) == Outcome(replies: [.simple("first")]))
    }

    @Test func `A reader waits for a value whose announced length fits`() {
        for header in ["$67108852\r\n", "*2\r\n$5\r\nfirst\r\n$67108823\r\n", "*1048576\r\n"] {
            #expect(outcome(ofFeeding: [Array(header.utf8)]) == Outcome(), "\(header)")
        }
        var limits = RESPLimits()
        limits.maxReplyBytes = 12 * 11
        #expect(outcome(ofFeeding: [Array("*10\r\n".utf8)], limits: limits) == Outcome())
        #expect(outcome(ofFeeding: [Array("*11\r\n".utf8)], limits: limits).failure == .replyTooLarge)
        // This bulk string is exactly as long as the limit allows. It is cut at every position.
        let bulk = Value.bulk(Array(repeating: 0x61, count: limits.maxReplyBytes - 12))
        #expect(outcome(ofFeeding: bulk.wire.map { [$0] }, limits: limits) == Outcome(replies: [bulk]))
    }

    @Test(arguments: 1...8)
    func `Arrays nest as deep as the limit, and no deeper`(depth: Int) {
        var limits = RESPLimits()
        limits.maxDepth = depth
        let allowed = String(repeating: "*1\r\n", count: depth)
        #expect(outcome(ofFeeding: [Array((allowed + ":1\r\n").utf8)], limits: limits).failure == nil)
        #expect(outcome(ofFeeding: [Array((allowed + "*1\r\n").utf8)], limits: limits).failure == .protocolViolation)
    }

    @Test func `A reply that is larger than the limit is refused while it arrives`() {
        var limits = RESPLimits()
        limits.maxReplyBytes = 1000
        let tooLong: String = "$2000\r\n" + String(repeating: "a", count: 1000)
        let tooMany: String = "*100\r\n" + String(repeating: ":1\r\n", count: 99)
        let first = String(repeating: "a", count: 900)
        let second = String(repeating: "a", count: 199)
        let tooLongTogether: String = "*3\r\n$900\r\n\(first)\r\n$200\r\n\(second)"
        let wires: [[UInt8]] = [tooLong, tooMany, tooLongTogether].map { Array($0.utf8) }
        for wire in wires {
            #expect(outcome(ofFeeding: [wire], limits: limits).failure == .replyTooLarge)
            #expect(outcome(ofFeeding: wire.map { [$0] }, limits: limits).failure == .replyTooLarge)
        }
    }

    @Test func `Many replies together may be larger than the limit for one`() {
        var limits = RESPLimits()
        limits.maxReplyBytes = 1000
        let wire = Value.bulk(Array(repeating: 0x61, count: 800)).wire
        let expected = Outcome(replies: Array(repeating: .bulk(Array(repeating: 0x61, count: 800)), count: 20))
        #expect(outcome(ofFeeding: [Array(repeating: wire, count: 20).flatMap { $0 }], limits: limits) == expected)
    }

    @Test(arguments: ["+", "-", ":", "*"])
    func `A line without an end is refused at the limit`(type: String) {
        var limits = RESPLimits()
        limits.maxLineBytes = 100
        let wire = Array(type.utf8) + Array(repeating: UInt8(ascii: "1"), count: 200)
        #expect(outcome(ofFeeding: wire.map { [$0] }, limits: limits) == Outcome(failure: .protocolViolation))
        let allowed = Array(type.utf8) + Array(repeating: UInt8(ascii: "1"), count: 99)
        #expect(outcome(ofFeeding: [allowed], limits: limits) == Outcome())
    }

    @Test func `A whole line that is longer than the limit is refused`() {
        var limits = RESPLimits()
        limits.maxLineBytes = 100
        let wire = Array("+\(String(repeating: "a", count: 101))\r\n".utf8)
        #expect(outcome(ofFeeding: [wire], limits: limits) == Outcome(failure: .protocolViolation))
    }

    @Test func `A header alone allocates no memory for the length that it announces`() {
        var builder = TapeBuilder(limits: RESPLimits())
        defer { builder.deallocate() }
        let isAccepted = builder.appendArray(count: 1_048_576, depth: 0)
        #expect(isAccepted)
        #expect(builder.tokenCount == 1)
        #expect(builder.replySize < 100)
        let isBeyondLimit = !builder.appendArray(count: 2_147_483_647, depth: 1)
        #expect(isBeyondLimit)
        #expect(builder.tokenCount == 1)
    }

    @Test func `Invalid limits are refused`() {
        let refusal = error { () throws(RedisError) in try RESPLimits().validate() }
        #expect(refusal?.code == nil)
        let changes: [(inout RESPLimits) -> Void] = [
            { $0.maxDepth = 0 }, { $0.maxDepth = 9 }, { $0.maxArrayElements = 0 }, { $0.maxReplyBytes = 0 },
            { $0.maxReplyBytes = Int(UInt32.max) + 1 }, { $0.maxLineBytes = -1 },
        ]
        for change in changes {
            var limits = RESPLimits()
            change(&limits)
            let refusal = error { () throws(RedisError) in try limits.validate() }
            #expect(refusal?.code == .invalidConfiguration)
        }
    }
}
