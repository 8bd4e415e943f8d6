import Foundation
import Testing

@testable import RedisStreams

@Suite struct ValueDecodingTests {
    @Test("Fields as JavaScript writes them are decoded")
    func javaScript() throws {
        struct Event: Decodable, Equatable {
            var name: String
            var big: Double
            var exponent: Int
            var point: Int
            var ok: Bool
            var missing: Int?
            var nothing: Int?
            var created: Date
            var tags: [String]
            var meta: [String: Int?]
            var grade: Grade
            var spaced: Int
        }
        let message = try entry([
            "name": "caf\u{e9}", "big": "1e21", "exponent": "1e3", "point": "12.0", "ok": "true", "nothing": "null",
            "created": #""2024-05-01T12:00:00.123Z""#, "tags": #"["a", "\u00e9"]"#, "meta": #"{"a":1,"b":null}"#,
            "grade": #""gold""#, "spaced": " 7\n", "unknown": "\u{0}",
        ])
        #expect(
            try message.decode(Event.self)
                == Event(
                    name: "café",
                    big: 1e21,
                    exponent: 1000,
                    point: 12,
                    ok: true,
                    created: Date(timeIntervalSince1970: 1_714_564_800.123),
                    tags: ["a", "é"],
                    meta: ["a": 1, "b": nil],
                    grade: .gold,
                    spaced: 7
                )
        )
    }

    @Test(
        "A String is never parsed as JSON",
        arguments: ["1", "null", "\"quoted\"", "{\"a\":1}", "", " x ", "true", "\0"]
    )
    func verbatim(text: String) throws {
        #expect(try entry(["value": text]).decode(Generic<String>.self).value == text)
        #expect(try entry(["value": text]).decode(Generic<String?>.self).value == text)
        #expect(try entry(["value": text]).decode([String: String].self) == ["value": text])
        #expect(try entry(["text": text, "always": "1"]).decode(Optionals.self).text == text)
    }

    @Test("An optional is nil if its field is missing or null")
    func optionals() throws {
        #expect(try entry(["always": "1"]).decode(Optionals.self) == Optionals())
        let message = try entry([
            "number": "null", "grade": "null", "date": "null", "order": " null ", "list": "null", "always": "1",
        ])
        #expect(try message.decode(Optionals.self) == Optionals())
        #expect(try entry(["grade": "\"null\"", "always": "1"]).decode(Optionals.self).grade == .nothing)
        #expect(
            try entry(["value": "null", "other": "3"]).decode([String: Int?].self) == ["value": Int?.none, "other": 3]
                as [String: Int?]
        )
    }

    @Test("If several fields have the same name, the first one counts")
    func duplicates() throws {
        let message = try entry(["value": "1", "value": "2", "other": "x"])
        #expect(try message.decode(Generic<Int>.self).value == 1)
        #expect(try message.decode([String: String].self) == ["value": "1", "other": "x"])
    }

    @Test("Entries with many fields are decoded by name, too")
    func manyFields() throws {
        let values = Dictionary(uniqueKeysWithValues: (0..<1000).map { ("é\($0)", $0) })
        #expect(try entry(try StreamFieldsToAdd(encoding: values)).decode([String: Int].self) == values)
        let fields = (0..<40).map { (name: Array("f\($0 % 20)".utf8), value: Array("\($0)".utf8)) }
        #expect(try entry(fields).decode([String: Int].self)["f3"] == 3)
    }

    @Test("A value is decoded to the type that the call asks for")
    func inferred() throws {
        let order: Generic<Int> = try entry(["value": "1"]).decode()
        #expect(order.value == 1)
        #expect(try entry(["value": "1"]).fields.decode(Generic<Int>.self).value == 1)
    }

    @Test("A type can decode one field piece by piece")
    func pieces() throws {
        #expect(
            try entry([
                "list": "[[3,null],[4,null]]", "point": #"{"x":1,"y":"two","more":{"date":"1970-01-02T00:00:00Z"}}"#,
            ]).decode(Nested.self) == Nested()
        )
        let error = #expect(throws: RedisError.self) {
            try entry(["list": "[]", "point": #"{"x":"hunter2"}"#]).decode(Nested.self)
        }
        #expect(error?.message == #"The field "point" of Nested does not read: at x: expected Int."#)
        let text = #expect(throws: RedisError.self) {
            try entry(["list": "[]", "point": "hunter2"]).decode(Nested.self)
        }
        #expect(text?.message == #"The field "point" of Nested does not read: expected an object."#)
    }

    struct Bad: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var message: String
        var decode: @Sendable () throws -> Void

        init<Value: Decodable & SendableMetatype>(_ text: String, _ type: Value.Type, _ message: String) {
            testDescription = "\(text) as \(type)"
            self.message = message
            decode = { _ = try entry(["value": text]).decode(Generic2<Value>.self) }
        }
    }

    struct Generic2<Value: Decodable>: Decodable {
        var value: Value
    }

    static let bad: [Bad] = [
        Bad("hunter2", Int.self, "of Generic2<Int> does not read as Int: expected a whole number within its range."),
        Bad("", Int.self, "does not read as Int: expected a whole number"),
        Bad("1.5", Int.self, "does not read as Int: expected a whole number"),
        Bad("007", Int.self, "does not read as Int: expected a whole number"),
        Bad("+1", Int.self, "does not read as Int: expected a whole number"),
        Bad("1e21", Int.self, "does not read as Int: expected a whole number"),
        Bad("9223372036854775808", Int.self, "does not read as Int: expected a whole number"),
        Bad("256", UInt8.self, "does not read as UInt8: expected a whole number"),
        Bad("null", Int.self, "does not read as Int: expected a whole number"),
        Bad("1,\"value\":2", Int.self, "does not read as Int: expected a whole number"),
        Bad("nan", Double.self, "does not read as Double: expected a number"),
        Bad("0x10", Double.self, "does not read as Double: expected a number"),
        Bad("1e999", Double.self, "does not read as Double: expected a number"),
        Bad("inf", Float.self, "does not read as Float: expected a number"),
        Bad("yes", Bool.self, "does not read as Bool: expected true or false"),
        Bad("1", Bool.self, "does not read as Bool: expected true or false"),
        Bad("yesterday", Date.self, "does not read as Date: expected a date"),
        Bad("2024-02-30T00:00:00Z", Date.self, "does not read as Date: expected a date"),
        Bad("1714564800", Date.self, "does not read as Date: expected a date"),
        Bad("hunter2", UUID.self, "does not read as UUID: expected a UUID"),
        Bad("hunter2", Grade.self, "does not read as Grade: expected one of its raw values"),
        Bad("3", Level.self, "does not read as Level: expected one of its raw values"),
        Bad("*hunter2*", Data.self, "does not read as Data: expected Base64"),
        Bad("hunter2", [Int].self, "does not read as Array<Int>: expected JSON"),
        Bad("[1,\"hunter2\"]", [Int].self, "does not read as Array<Int>: at [1]: expected Int."),
        Bad("[1,null]", [Int].self, "does not read as Array<Int>: at [1]: expected Int, found null."),
        Bad("[1,2", [Int].self, "does not read as Array<Int>: expected JSON"),
        Bad("{\"hunter2\":{}}", [String: Int].self, "does not read as Dictionary<String, Int>: at *: expected Int."),
        Bad("{\"street\":\"hunter2\"}", Address.self, "does not read as Address: the key lines is missing."),
        Bad(
            "{\"street\":\"hunter2\",\"lines\":[1]}",
            Address.self,
            "does not read as Address: at lines[0]: expected String."
        ),
        Bad("{\"gold\":{}}", Payment.self, "does not read as Payment"),
        Bad("hunter2", Picky.self, "does not read as Picky: OwnError was thrown while it was decoded."),
    ]

    @Test("The error for a field that cannot be decoded names the field, and not its contents", arguments: bad)
    func badField(bad: Bad) {
        let error = #expect(throws: RedisError.self) { try bad.decode() }
        #expect(error?.code == .decodingFailed)
        #expect(error?.message.hasPrefix(#"The field "value" "#) == true)
        #expect(error?.message.contains(bad.message) == true, "\(error?.message ?? "")")
        #expect(error.map { "\($0)" }?.contains("hunter2") == false)
        #expect(error?.cause != nil)
    }

    @Test("The error for a missing field names it")
    func missing() {
        let error = #expect(throws: RedisError.self) { try entry(["item": "book"]).decode(Order.self) }
        #expect(error?.code == .decodingFailed)
        #expect(error?.message == #"The field "count", which Order needs, is missing."#)
    }

    @Test("Bytes that are not UTF-8 are an error only if the type decodes the field")
    func notUTF8() throws {
        let message = try entry([
            (Array("value".utf8), [0xFF, 0xFE]), (Array("number".utf8), Array("1".utf8)), ([0xC3], Array("x".utf8)),
        ])
        struct Number: Decodable { var number: Int }
        #expect(try message.decode(Number.self).number == 1)
        let error = #expect(throws: RedisError.self) { try message.decode(Generic<String>.self) }
        #expect(error?.code == .decodingFailed)
        #expect(
            error?.message.contains(
                #"The field "value" of Generic<String> does not read as String: its bytes are not UTF-8"#
            ) == true
        )
        #expect(throws: RedisError.self) { try message.decode(Generic<Data>.self) }

        let name = try entry([(Array("a".utf8), Array("1".utf8)), ([0xC3], Array("2".utf8))])
        let nameError = #expect(throws: RedisError.self) { try name.decode([String: Int].self) }
        #expect(nameError?.message.contains("the name of a field is not UTF-8") == true)
    }

    @Test("A deleted entry and an entry without a field have different errors")
    func deleted() throws {
        let message = try entry([(name: [UInt8], value: [UInt8])]?.none)
        let error = #expect(throws: RedisError.self) { try message.decode(Order.self) }
        #expect(error?.code == .decodingFailed)
        #expect(error?.message.contains("1700000000000-3 has been deleted") == true)
    }

    @Test("A type that has no properties is refused")
    func refused() {
        func refuse<Value: Decodable>(_ type: Value.Type) {
            let error = #expect(throws: RedisError.self) { try entry(["value": "1"]).decode(type) }
            #expect(error?.code == .decodingFailed)
            #expect(error?.message.contains("has no properties that could be fields") == true)
        }
        refuse(Int.self)
        refuse(Int128.self)
        refuse(String.self)
        refuse(Grade.self)
        refuse([Int].self)
        refuse(Date.self)
        refuse(Data.self)
        refuse(URL.self)
        refuse(Decimal.self)
        refuse(UUID.self)
        refuse(Wrapper<Int>.self)
        refuse(Wrapper<[Int]>.self)
        refuse([Grade: Int].self)
    }

    @Test("An error that a type throws itself is the cause, and the message contains only its type")
    func ownErrors() {
        let error = #expect(throws: RedisError.self) { try entry(["value": "1"]).decode(Picky.self) }
        #expect(error?.code == .decodingFailed)
        #expect(error?.cause is OwnError)
        #expect(error.map { "\($0)" }?.contains("hunter2") == false)

        struct Checked: Decodable {
            enum CodingKeys: CodingKey { case total }
            init(from decoder: any Decoder) throws {
                let container = try decoder.container(keyedBy: CodingKeys.self)
                throw DecodingError.dataCorruptedError(forKey: .total, in: container, debugDescription: "hunter2")
            }
        }
        let checked = #expect(throws: RedisError.self) { try entry(["total": "-1"]).decode(Checked.self) }
        #expect(
            checked?.message == #"The field "total" of Checked does not read: the value is not one of its type."#
        )
        #expect(checked.map { "\($0)" }?.contains("hunter2") == false)
    }

    @Test("A type can try to decode one type after the other")
    func alternatives() throws {
        enum Either: Decodable, Equatable {
            case number(Int)
            case text(String)
            enum CodingKeys: CodingKey { case value }
            init(from decoder: any Decoder) throws {
                let container = try decoder.container(keyedBy: CodingKeys.self)
                do {
                    self = .number(try container.decode(Int.self, forKey: .value))
                } catch is DecodingError {
                    self = .text(try container.decode(String.self, forKey: .value))
                }
            }
        }
        #expect(try entry(["value": "1"]).decode(Either.self) == .number(1))
        #expect(try entry(["value": "one"]).decode(Either.self) == .text("one"))
    }

    @Test("JSON that is nested too deeply is refused")
    func deep() {
        let text = String(repeating: "[", count: 100_000)
        #expect(throws: RedisError.self) { try entry(["value": text]).decode(Generic<[Int]>.self) }
    }
}
