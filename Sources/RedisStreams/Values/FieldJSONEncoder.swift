#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// Writes a property as the text of its field.
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

    /// Text as it is, a string of JSON as its text, everything else as JSON.
    func text<Value: Encodable>(of value: Value) throws -> String {
        // The types whose JSON is known need no JSON encoder, which costs more than all of them together.
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

    /// Whether bare text would be read as another string, or as nil.
    private func isTakenForOtherJSON(_ text: String) -> Bool {
        let start = text.utf8.first { !JSONText.isWhitespace($0) }
        return start == UInt8(ascii: "\"") || JSONText.isNull(text.utf8)
    }
}

/// Whether JSON has one value for the type, although it encodes itself as an object.
func isWholeInJSON(_ type: any Any.Type) -> Bool {
    type == URL.self || type == Decimal.self || type == Date.self || type == Data.self
}
