import Foundation
import Testing

@testable import RedisStreams

@Suite struct ValueEncodingTests {
    @Test("Text is written unchanged, everything else as JSON, in the order of the properties")
    func order() throws {
        #expect(
            lines(try StreamFieldsToAdd(encoding: Order())) == [
                "item=book", "count=2", "total=12.5", "paid=true",
                #"address={"geo":{"lat":2,"lon":1.5},"lines":["a","b"],"street":"High/Street \"1\""}"#, "tags=[]",
            ]
        )
    }

    @Test("Plain numbers are written as JSON writes them")
    func numbers() throws {
        #expect(
            lines(try StreamFieldsToAdd(encoding: Plain())) == [
                "int8=-128", "int16=-32768", "int32=-2147483648", "int64=-9223372036854775808",
                "uint=18446744073709551615", "uint8=255", "uint64=18446744073709551615",
                "int128=-170141183460469231731687303715884105728", "uint128=340282366920938463463374607431768211455",
                "float=0.1", "double=5e-324", "whole=3", "large=1e+300", "negativeZero=-0",
            ]
        )
    }

    @Test("A value whose JSON is a string is written without its quotes")
    func strings() throws {
        let fields = lines(try StreamFieldsToAdd(encoding: Rich()))
        for line in [
            "date=2024-05-01T12:00:00.123Z", #"dates=["1970-01-01T00:00:00Z","1969-12-31T23:59:58.500Z"]"#,
            "data=AAH+/w==",
            "bytes=[0,255]", "url=https://example.com/a?b=c/d", "uuid=E621E1F8-C36C-495A-93FC-0C247A3E6E5F",
            "decimal=12.5", "grade=gold", "level=2", #"payment={"card":{"months":3,"number":"4"}}"#, "id=o-1",
            #"byNumber={"7":"seven"}"#, "matrix=[[1,null],[]]", "set=[5]", "range=[1,3]",
        ] {
            #expect(fields.contains(line))
        }
    }

    @Test(
        "Text of types other than String keeps its quotes if it would be read as something else",
        arguments: [
            (Grade.gold, "gold"), (.first, "1"), (.truth, "true"), (.nothing, #""null""#), (.quoted, #""\"gold\"""#),
            (.padded, #"" \"x\"""#), (.odd, "a\\b\"c\n\u{1}/é"), (.empty, ""),
        ]
    )
    func ambiguousText(grade: Grade, text: String) throws {
        #expect(lines(try StreamFieldsToAdd(encoding: ["grade": grade])) == ["grade=\(text)"])
    }

    @Test("A String is written unchanged, whatever it contains")
    func verbatim() throws {
        for text in ["1", "null", "\"quoted\"", "{}", "", " ", "\0", "é\u{301}", "[\"a\"]"] {
            #expect(lines(try StreamFieldsToAdd(encoding: Generic(value: text))) == ["value=\(text)"])
        }
    }

    @Test("A property that is nil has no field")
    func nils() throws {
        #expect(lines(try StreamFieldsToAdd(encoding: Optionals())) == ["always=1"])
        #expect(lines(try StreamFieldsToAdd(encoding: Explicit())) == ["other=1"])
        #expect(
            lines(try StreamFieldsToAdd(encoding: Explicit(text: "a", number: 2, twice: 3))) == [
                "text=a", "number=2", "twice=3", "other=1",
            ]
        )
        #expect(lines(try StreamFieldsToAdd(encoding: ["a": Int?.none, "b": 2])) == ["b=2"])
    }

    @Test("The entries of a dictionary become fields in the order of their names")
    func dictionaries() throws {
        #expect(lines(try StreamFieldsToAdd(encoding: ["b": 1, "a": 2, "c": 3])) == ["a=2", "b=1", "c=3"])
        #expect(lines(try StreamFieldsToAdd(encoding: [2: "b", 1: "a"])) == ["1=a", "2=b"])
        #expect(lines(try StreamFieldsToAdd(encoding: Wrapper(["b": 1, "a": 2]))) == ["a=2", "b=1"])
    }

    @Test("Nested containers and superclasses become JSON")
    func nested() throws {
        #expect(
            lines(try StreamFieldsToAdd(encoding: Nested())) == [
                "list=[[3,null],[4,null]]", #"point={"more":{"date":"1970-01-02T00:00:00Z"},"x":1,"y":"two"}"#,
            ]
        )
        #expect(lines(try StreamFieldsToAdd(encoding: FlatDog(name: "Rex", age: 3))) == ["name=Rex", "age=3"])
        #expect(
            lines(try StreamFieldsToAdd(encoding: SuperDog(name: "Rex", age: 3))) == [
                "age=3", #"super={"name":"Rex"}"#,
            ]
        )
        #expect(lines(try StreamFieldsToAdd(encoding: Payment.cash)) == ["cash={}"])
    }

    @Test("A key that is encoded twice keeps its position, with the last value")
    func twice() throws {
        struct Twice: Encodable {
            func encode(to encoder: any Encoder) throws {
                var container = encoder.container(keyedBy: FieldKey.self)
                try container.encode(1, forKey: FieldKey("a"))
                try container.encode(2, forKey: FieldKey("b"))
                try container.encode("three", forKey: FieldKey("a"))
            }
        }
        #expect(lines(try StreamFieldsToAdd(encoding: Twice())) == ["a=three", "b=2"])
    }

    static let withoutProperties: [any Encodable & Sendable] = [
        1, "hunter2", true, 1.5, UInt8(1), Int128(1), [1, 2], [Order](), Date(), Data([1]), Decimal(1), UUID(),
        Int?.none,
        Grade.gold, OrderID(rawValue: "hunter2"), Wrapper(1), Wrapper("hunter2"), Wrapper([1]), 1..<2, [Grade.gold: 1],
        URL(string: "https://example.com"), Wrapper(URL(string: "https://example.com")),
    ]

    @Test("A value that is not an object is refused", arguments: withoutProperties.indices)
    func refused(index: Int) {
        let error = #expect(throws: RedisError.self) { try StreamFieldsToAdd(encoding: Self.withoutProperties[index]) }
        #expect(error?.code == .encodingFailed)
        #expect(error?.message.contains("Wrap it in a struct") == true)
        #expect(error?.message.contains("hunter2") == false)
    }

    @Test("A value without a single property is refused")
    func empty() {
        struct Silent: Encodable { func encode(to encoder: any Encoder) {} }
        struct OnlyNil: Encodable { var a: Int? }
        let values: [any Encodable] = [Empty(), [String: Int](), OnlyNil(), Silent(), ["a": Int?.none]]
        for value in values {
            let error = #expect(throws: RedisError.self) { try StreamFieldsToAdd(encoding: value) }
            #expect(error?.code == .encodingFailed)
            #expect(error?.message.contains("an entry needs a field") == true)
        }
    }

    struct Contradiction: Encodable {
        var isNested: Bool

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: FieldKey.self)
            try container.encode(1, forKey: FieldKey("a"))
            if isNested {
                _ = container.nestedContainer(keyedBy: FieldKey.self, forKey: FieldKey("b"))
                var list = container.nestedUnkeyedContainer(forKey: FieldKey("b"))
                try list.encode(1)
            } else {
                _ = encoder.unkeyedContainer()
            }
        }
    }

    @Test("A value that is encoded as two kinds at once is refused", arguments: [false, true])
    func contradiction(isNested: Bool) {
        let error = #expect(throws: RedisError.self) {
            try StreamFieldsToAdd(encoding: Contradiction(isNested: isNested))
        }
        #expect(error?.code == .encodingFailed)
    }

    @Test("The error for a value that JSON cannot represent names the field, and not the value")
    func unencodable() {
        let cases: [(any Encodable, String)] = [
            (
                Generic(value: Double.nan),
                #"The field "value" (Double) of Generic<Double> cannot be written: a number is not finite"#
            ),
            (Generic(value: Float.infinity), "a number is not finite"),
            (Generic(value: [1, -Double.infinity]), "at [1]: a number is not finite"),
            (Generic(value: Date(timeIntervalSince1970: 1e15)), "a Date with this value"),
            (Generic(value: [Date(timeIntervalSince1970: .infinity)]), "at [0]: a Date with this value"),
            (["x": ["hunter2": Double.nan]], "at *: a number is not finite"),
            (HoldsPicky(), #"The field "inner" (Picky) of HoldsPicky cannot be written: OwnError was thrown"#),
            (Picky(), "Picky cannot be written: OwnError was thrown"),
        ]
        for (value, part) in cases {
            let error = #expect(throws: RedisError.self) { try StreamFieldsToAdd(encoding: value) }
            #expect(error?.code == .encodingFailed)
            #expect(error?.message.contains(part) == true, "\(error?.message ?? "")")
            #expect(error.map { "\($0)" }?.contains("hunter2") == false)
        }
        let error = #expect(throws: RedisError.self) { try StreamFieldsToAdd(encoding: HoldsPicky()) }
        #expect(error?.cause is OwnError)
    }
}
