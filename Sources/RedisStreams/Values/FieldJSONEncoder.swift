#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// Encodes a property as the text of its field.
final class FieldJSONEncoder {
    private lazy var encoder: JSONEncoder = {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .custom { date, encoder in
            var container = encoder.singleValueContainer()
            guard let text = Timestamp.text(secondsSince1970: date.timeIntervalSince1970) else {
                throw EncodingError.invalidValue(date, Timestamp.rangeContext(codingPath: encoder.codingPath))
            }
            try container.encode(text)
        }
        return encoder
    }()

    /// Returns a `String` unchanged, the text of a value whose JSON is a string, and the JSON of any other value.
    func text<Value: Encodable>(of value: Value) throws -> String {
        // The JSON of these types is known. A JSON encoder would cost more than all these casts together.
        switch value {
        case let value as String: return value
        case let value as Int: return "\(value)"
        case let value as Double: if value.isFinite { return text(ofFinite: value) }
        case let value as Bool: return value ? "true" : "false"
        case let value as Int64: return "\(value)"
        case let value as Date:
            if let text = Timestamp.text(secondsSince1970: value.timeIntervalSince1970) { return text }
        default: break
        }
        let json = String(decoding: try encoder.encode(value), as: UTF8.self)
        guard json.utf8.first == UInt8(ascii: "\"") else { return json }
        let text = try bareText(ofString: json)
        return isTakenForOtherJSON(text) ? json : text
    }

    private func text(ofFinite value: Double) -> String {
        let text = value.description
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    private func bareText(ofString json: String) throws -> String {
        guard json.utf8.contains(UInt8(ascii: "\\")) else { return String(json.dropFirst().dropLast()) }
        return try JSONDecoder().decode(String.self, from: Data(json.utf8))
    }

    /// Whether a decoder would read the bare text as another string, or as nil.
    private func isTakenForOtherJSON(_ text: String) -> Bool {
        let start = text.utf8.first { !JSONText.isWhitespace($0) }
        return start == UInt8(ascii: "\"") || JSONText.isNull(text.utf8)
    }
}

/// Whether a JSON encoder writes the type as one value, in another form than the type's own `encode(to:)`.
func isWholeInJSON(_ type: any Any.Type) -> Bool {
    type == URL.self || type == Decimal.self || type == Date.self || type == Data.self
}
