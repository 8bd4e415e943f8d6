/// The value of a field to add: text, a number, or bytes.
///
/// ```swift
/// try await redis.xadd("orders", ["item": "book", "count": 2, "cover": .bytes(png)])
/// ```
public enum FieldValue: Sendable, Hashable {
    /// Text, sent as UTF-8.
    case text(String)
    /// Bytes, sent as they are.
    case bytes([UInt8])

    /// A number, sent in decimal.
    public static func integer(_ value: Int) -> FieldValue { .text("\(value)") }

    func append(to encoder: inout CommandEncoder) {
        switch self {
        case .text(let text): encoder.append(text)
        case .bytes(let bytes): encoder.append(bytes)
        }
    }

    /// How many bytes the value has on the wire, not counting the framing of RESP.
    var byteCount: Int {
        switch self {
        case .text(let text): text.utf8.count
        case .bytes(let bytes): bytes.count
        }
    }
}

extension FieldValue: ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
    /// Text.
    public init(stringLiteral value: String) { self = .text(value) }
}

extension FieldValue: ExpressibleByIntegerLiteral {
    /// A number, sent in decimal.
    public init(integerLiteral value: Int) { self = .integer(value) }
}

/// The fields of a new entry, in order. A name may occur more than once.
public struct StreamFieldsToAdd: Sendable, Hashable, ExpressibleByDictionaryLiteral {
    /// A name with its value.
    public struct Field: Sendable, Hashable {
        /// The name.
        public var name: String
        /// The value.
        public var value: FieldValue

        /// A name with its value.
        public init(_ name: String, _ value: FieldValue) {
            self.name = name
            self.value = value
        }
    }

    /// The fields, in order.
    public var fields: [Field]

    /// Fields in this order.
    public init(_ fields: [Field] = []) {
        self.fields = fields
    }

    /// Fields in the order in which they are written.
    public init(dictionaryLiteral elements: (String, FieldValue)...) {
        fields = elements.map { Field($0, $1) }
    }

    /// The entries of a dictionary, in the order of their names.
    public init(_ dictionary: [String: String]) {
        fields = dictionary.sorted { $0.key < $1.key }.map { Field($0.key, .text($0.value)) }
    }

    /// Adds a field at the end.
    public mutating func append(_ name: String, _ value: FieldValue) {
        fields.append(Field(name, value))
    }

    /// How many bytes the fields have on the wire, not counting the framing of RESP.
    var byteCount: Int {
        fields.reduce(0) { $0 + $1.name.utf8.count + $1.value.byteCount }
    }
}
