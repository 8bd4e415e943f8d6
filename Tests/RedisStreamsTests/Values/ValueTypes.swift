import Foundation

// Values in every form that Codable supports.

enum Grade: String, Codable, CaseIterable {
    case gold, silver
    case first = "1"
    case truth = "true"
    case nothing = "null"
    case quoted = "\"gold\""
    case padded = " \"x\""
    case odd = "a\\b\"c\n\u{1}/é"
    case empty = ""
}

enum Level: Int, Codable {
    case low = 1
    case high = 2
}

enum Payment: Codable, Equatable {
    case cash
    case card(number: String, months: Int)
    case split([Int])
}

struct OrderID: RawRepresentable, Codable, Hashable {
    var rawValue: String
}

struct Address: Codable, Equatable {
    var street: String
    var lines: [String]
    var geo: [String: Double]
}

struct Order: Codable, Equatable {
    var item: String = "book"
    var count: Int = 2
    var total: Double = 12.5
    var paid: Bool = true
    var note: String?
    var address = Address(street: "High/Street \"1\"", lines: ["a", "b"], geo: ["lon": 1.5, "lat": 2])
    var tags: [String] = []
}

struct Plain: Codable, Equatable {
    var int8: Int8 = -128
    var int16: Int16 = .min
    var int32: Int32 = .min
    var int64: Int64 = .min
    var uint: UInt = .max
    var uint8: UInt8 = .max
    var uint64: UInt64 = .max
    var int128: Int128 = .min
    var uint128: UInt128 = .max
    var float: Float = 0.1
    var double: Double = .leastNonzeroMagnitude
    var whole: Double = 3
    var large: Double = 1e300
    var negativeZero: Double = -0.0
}

struct Rich: Codable, Equatable {
    var date = Date(timeIntervalSince1970: 1_714_564_800.123)
    var dates: [Date] = [Date(timeIntervalSince1970: 0), Date(timeIntervalSince1970: -1.5)]
    var data = Data([0, 1, 254, 255])
    var bytes: [UInt8] = [0, 255]
    var url = URL(string: "https://example.com/a?b=c/d")
    var uuid = UUID(uuidString: "E621E1F8-C36C-495A-93FC-0C247A3E6E5F")
    var decimal = Decimal(string: "12.50")
    var grade = Grade.gold
    var level = Level.high
    var payment = Payment.card(number: "4", months: 3)
    var id = OrderID(rawValue: "o-1")
    var byGrade: [Grade: Int] = [.gold: 1]
    var byNumber: [Int: String] = [7: "seven"]
    var matrix: [[Int?]] = [[1, nil], []]
    var set: Set<Int> = [5]
    var range: Range<Int> = 1..<3
}

struct Optionals: Codable, Equatable {
    var text: String?
    var number: Int?
    var grade: Grade?
    var date: Date?
    var order: Address?
    var list: [Int]?
    var always = 1
}

/// Encodes its optionals explicitly, even if they are nil.
struct Explicit: Codable, Equatable {
    var text: String?
    var number: Int?
    var twice: Int??
    var other = 1

    init(text: String? = nil, number: Int? = nil, twice: Int?? = nil) {
        self.text = text
        self.number = number
        self.twice = twice
    }

    enum CodingKeys: CodingKey { case text, number, twice, nothing, other }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(text, forKey: .text)
        try container.encode(number, forKey: .number)
        try container.encode(twice, forKey: .twice)
        try container.encodeNil(forKey: .nothing)
        try container.encode(other, forKey: .other)
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        text = try container.decode(String?.self, forKey: .text)
        number = try container.decode(Int?.self, forKey: .number)
        twice = try container.decode(Int??.self, forKey: .twice)
        guard try container.decodeNil(forKey: .nothing) else {
            throw DecodingError.dataCorruptedError(forKey: .nothing, in: container, debugDescription: "Not nil.")
        }
        other = try container.decode(Int.self, forKey: .other)
    }
}

/// A value that encodes its properties in nested containers.
struct Nested: Codable, Equatable {
    var x = 1
    var y = "two"
    var list = [3, 4]
    var date = Date(timeIntervalSince1970: 86400)

    enum CodingKeys: CodingKey { case point, list }
    enum PointKeys: CodingKey { case x, y, more }
    enum MoreKeys: CodingKey { case date }

    init() {}

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        var list = container.nestedUnkeyedContainer(forKey: .list)
        var point = container.nestedContainer(keyedBy: PointKeys.self, forKey: .point)
        try point.encode(x, forKey: .x)
        for number in self.list {
            var inner = list.nestedUnkeyedContainer()
            try inner.encode(number)
            try inner.encodeNil()
        }
        try point.encode(y, forKey: .y)
        var more = point.nestedContainer(keyedBy: MoreKeys.self, forKey: .more)
        try more.encode(date, forKey: .date)
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let point = try container.nestedContainer(keyedBy: PointKeys.self, forKey: .point)
        x = try point.decode(Int.self, forKey: .x)
        y = try point.decode(String.self, forKey: .y)
        date = try point.nestedContainer(keyedBy: MoreKeys.self, forKey: .more).decode(Date.self, forKey: .date)
        var list = try container.nestedUnkeyedContainer(forKey: .list)
        self.list = []
        while !list.isAtEnd {
            var inner = try list.nestedUnkeyedContainer()
            self.list.append(try inner.decode(Int.self))
            _ = try inner.decodeNil()
        }
    }
}

/// A class that encodes its superclass's properties next to its own.
class Animal: Codable {
    var name: String

    init(name: String) { self.name = name }
}

final class FlatDog: Animal {
    var age: Int

    init(name: String, age: Int) {
        self.age = age
        super.init(name: name)
    }

    enum CodingKeys: CodingKey { case age }

    override func encode(to encoder: any Encoder) throws {
        try super.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(age, forKey: .age)
    }

    required init(from decoder: any Decoder) throws {
        age = try decoder.container(keyedBy: CodingKeys.self).decode(Int.self, forKey: .age)
        try super.init(from: decoder)
    }
}

/// A class that encodes its superclass's properties under a key.
final class SuperDog: Animal {
    var age: Int

    init(name: String, age: Int) {
        self.age = age
        super.init(name: name)
    }

    enum CodingKeys: CodingKey { case age }

    override func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(age, forKey: .age)
        try super.encode(to: container.superEncoder())
    }

    required init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        age = try container.decode(Int.self, forKey: .age)
        try super.init(from: container.superDecoder())
    }
}

/// A value that only wraps another one.
struct Wrapper<Value: Codable & Equatable>: Codable, Equatable {
    var value: Value

    init(_ value: Value) { self.value = value }

    init(from decoder: any Decoder) throws { value = try decoder.singleValueContainer().decode(Value.self) }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(value)
    }
}

/// A property of a generic type, which only the caller knows.
struct Generic<Value: Codable & Equatable>: Codable, Equatable {
    var value: Value
}

extension Wrapper: Sendable where Value: Sendable {}
extension Generic: Sendable where Value: Sendable {}

struct Empty: Codable, Equatable {}

struct OwnError: Error, CustomStringConvertible {
    var description: String { "hunter2" }
}

struct Picky: Codable {
    var secret = "hunter2"

    init() {}
    init(from decoder: any Decoder) throws { throw OwnError() }
    func encode(to encoder: any Encoder) throws { throw OwnError() }
}

struct HoldsPicky: Codable {
    var inner = Picky()
}
