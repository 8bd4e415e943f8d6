import Testing

@testable import RedisStreams

@Suite struct StreamIDTests {
    static let valid: [(String, StreamID)] = [
        ("0-0", .zero), ("0", .zero), ("1700000000000-3", StreamID(milliseconds: 1_700_000_000_000, sequence: 3)),
        ("1700000000000", StreamID(milliseconds: 1_700_000_000_000)),
        ("007-01", StreamID(milliseconds: 7, sequence: 1)),
        ("18446744073709551615-18446744073709551615", .max), ("18446744073709551615", StreamID(milliseconds: .max)),
    ]

    @Test(arguments: valid)
    func `An id is read, and printed with both its parts`(text: String, id: StreamID) {
        #expect(StreamID(text) == id)
        #expect(StreamID(id.description) == id)
        #expect(id.description == "\(id.milliseconds)-\(id.sequence)")
    }

    static let invalid = [
        "", "-", "1-", "-1", "1-2-3", "1--2", " 1-0", "1-0 ", "1 -0", "+1-0", "1-+0", "a-0", "1-a", "1_0-0", "0x10-0",
        "*",
        "$", ">", "+", "1-*", "1.5-0", "18446744073709551616-0", "0-18446744073709551616", "99999999999999999999999",
        "١-0",
        "1-0\r\n", "1\u{0}-0",
    ]

    @Test(arguments: invalid)
    func `A text that is not an id is nil`(text: String) {
        #expect(StreamID(text) == nil)
    }

    static let neighbours: [(StreamID, StreamID)] = [
        (.zero, StreamID(milliseconds: 0, sequence: 1)),
        (StreamID(milliseconds: 5, sequence: 1), StreamID(milliseconds: 5, sequence: 2)),
        (StreamID(milliseconds: 5, sequence: .max), StreamID(milliseconds: 6)),
        (StreamID(milliseconds: .max, sequence: .max - 1), .max),
    ]

    @Test(arguments: neighbours)
    func `Each id has a next and a previous one`(lower: StreamID, upper: StreamID) {
        #expect(lower.next == upper)
        #expect(upper.previous == lower)
        #expect(lower < upper)
    }

    @Test func `Nothing is above the highest or below the lowest id`() {
        #expect(StreamID.max.next == nil)
        #expect(StreamID.zero.previous == nil)
    }

    @Test func `Ids are ordered by time, then by number, and not as text`() {
        let ordered = ["0-0", "0-1", "2-0", "9-9", "9-10", "10-0", "10-18446744073709551615", "11-0"].compactMap(
            StreamID.init
        )
        #expect(ordered.count == 8)
        #expect(ordered.shuffled().sorted() == ordered)
    }
}
