import Foundation
import Testing

@testable import RedisStreams

@Suite struct ValueRoundTripTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var roundTrip: @Sendable () throws -> Bool

        init<Value: Codable & Equatable & Sendable>(_ value: Value) {
            testDescription = "\(Value.self)"
            roundTrip = { try entry(try StreamFieldsToAdd(encoding: value)).decode(Value.self) == value }
        }
    }

    static let cases: [Case] =
        [
            Case(Order()), Case(Order(note: "null")), Case(Plain()), Case(Rich()), Case(Optionals()),
            Case(
                Optionals(
                    text: "",
                    number: 0,
                    grade: .nothing,
                    date: Date(timeIntervalSince1970: 0.001),
                    order: Address(street: "", lines: [], geo: [:]),
                    list: []
                )
            ),
            Case(Explicit()), Case(Explicit(text: "null", number: -1, twice: 2)), Case(Nested()),
            Case(Payment.cash), Case(Payment.card(number: "1", months: 2)), Case(Payment.split([1, 2])),
            Case(["a": 1, "": 2, "é": 3]), Case(["a": "1", "b": "null"]), Case(["a": Grade.quoted]), Case([1: [2]]),
            Case(["a": ["b": ["c": [Date(timeIntervalSince1970: 1)]]]]),
            Case(["date": Date(timeIntervalSince1970: -0.001)]),
            Case(Wrapper(Order())), Case(Wrapper(Wrapper(["a": 1.5]))), Case(Optional(Order())),
            Case(Generic(value: Wrapper("\"x\""))), Case(Generic(value: Wrapper(Int?.none))),
            Case(Generic(value: OrderID(rawValue: "null"))), Case(Generic(value: OrderID(rawValue: "{\"a\": 1}"))),
            Case(Generic(value: OrderID(rawValue: "[]"))), Case(Generic(value: OrderID(rawValue: ""))),
            Case(Generic(value: OrderID(rawValue: "12"))),
            Case(Generic(value: OrderID(rawValue: "\u{0}\u{1f}\u{7f}\u{2028}"))),
            Case(Generic(value: Data())), Case(Generic(value: UInt64.max)), Case(Generic(value: Int128.max)),
            Case(Generic(value: Double.greatestFiniteMagnitude)), Case(Generic(value: Double.leastNonzeroMagnitude)),
            Case(Generic(value: 0.1 + 0.2)), Case(Generic(value: Float.pi)), Case(Generic(value: Double?.some(1))),
            Case(Generic(value: Empty())),
        ]
        + Grade.allCases.flatMap { [Case(Generic(value: $0)), Case(Generic(value: Optional($0))), Case(["a": [$0]])] }

    @Test("A value is the same after encoding and decoding", arguments: cases)
    func roundTrip(test: Case) throws {
        #expect(try test.roundTrip())
    }

    @Test("Classes are decoded with the properties of their superclass")
    func classes() throws {
        let flat = try entry(try StreamFieldsToAdd(encoding: FlatDog(name: "Rex", age: 3))).decode(FlatDog.self)
        #expect(flat.name == "Rex" && flat.age == 3)
        let nested = try entry(try StreamFieldsToAdd(encoding: SuperDog(name: "Rex", age: 3))).decode(SuperDog.self)
        #expect(nested.name == "Rex" && nested.age == 3)
    }

    @Test("Fields that were not encoded from a value can be decoded as one")
    func plainFields() throws {
        struct Item: Decodable, Equatable {
            var item: String
            var count: Int
        }
        #expect(
            try entry(["item": "book", "count": 2] as StreamFieldsToAdd).decode(Item.self)
                == Item(item: "book", count: 2)
        )
    }
}

@Suite struct TimestampTests {
    @Test(
        "A date is written in UTC to the nearest millisecond",
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (1_714_564_800.123, "2024-05-01T12:00:00.123Z"),
            (1_714_564_800.9996, "2024-05-01T12:00:01Z"), (-0.001, "1969-12-31T23:59:59.999Z"),
            (951_782_400, "2000-02-29T00:00:00Z"), (253_402_300_799.999, "9999-12-31T23:59:59.999Z"),
            (-62_167_219_200, "0000-01-01T00:00:00Z"), (253_402_300_800, nil), (-62_167_219_201, nil), (1e300, nil),
            (.nan, nil), (-.infinity, nil),
        ] as [(Double, String?)]
    )
    func written(seconds: Double, text: String?) {
        #expect(Timestamp.text(secondsSince1970: seconds) == text)
    }

    @Test(
        "Dates of other languages are read",
        arguments: [
            ("2024-05-01T12:00:00Z", 1_714_564_800), ("2024-05-01T12:00:00.123Z", 1_714_564_800.123),
            ("2024-05-01T14:00:00.123456+02:00", 1_714_564_800.123456),
            ("2024-05-01t09:30:00-0230z".dropLast().description, 1_714_564_800),
            ("2024-05-01 12:00:00.123456789Z", 1_714_564_800.123456789), ("1969-12-31T23:59:58.5Z", -1.5),
            ("2016-12-31T23:59:60Z", 1_483_228_800), ("0000-01-01T00:00:00Z", -62_167_219_200),
            ("2024-05-01T12:00:00.00000000000000000000000001Z", 1_714_564_800),
        ] as [(String, Double)]
    )
    func read(text: String, seconds: Double) {
        #expect(Timestamp.secondsSince1970(text) == seconds)
    }

    @Test(
        "A text that is not a date with a zone is refused",
        arguments: [
            "", "2024", "2024-05-01", "2024-05-01T12:00Z", "2024-05-01T12:00:00", "2024-05-01T12:00:00Zjunk",
            "2024-13-01T12:00:00Z", "2024-00-01T12:00:00Z", "2024-02-30T12:00:00Z", "2023-02-29T12:00:00Z",
            "2024-05-00T12:00:00Z", "2024-05-01T24:00:00Z", "2024-05-01T12:60:00Z", "2024-05-01T12:00:61Z",
            "2024-05-01T12:00:00.Z", "2024-05-01T12:00:00+2:00", "2024-05-01T12:00:00+24:00", "+2024-05-01T12:00:00Z",
            "２０24-05-01T12:00:00Z", "2024-05-01T12:00:00+02:00:00", "-024-05-01T12:00:00Z",
        ]
    )
    func refused(text: String) {
        #expect(Timestamp.secondsSince1970(text) == nil)
    }

    @Test("Every day of eight centuries is read as it was written, and follows the day before")
    func days() {
        for day in stride(from: -146_097, through: 146_097, by: 1) {
            let seconds = Double(day) * 86400 + 43200.25
            guard let text = Timestamp.text(secondsSince1970: seconds) else {
                Issue.record("day \(day) is not written")
                return
            }
            if Timestamp.secondsSince1970(text) != seconds { Issue.record("\(text) is not day \(day)") }
        }
    }
}
