#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// Decodes a property from the text of its field.
final class FieldJSONDecoder {
    private lazy var decoder: JSONDecoder = {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .custom { decoder in
            let container = try decoder.singleValueContainer()
            guard let seconds = Timestamp.secondsSince1970(try container.decode(String.self)) else {
                throw DecodingError.dataCorruptedError(in: container, debugDescription: "Not an ISO 8601 date.")
            }
            return Date(timeIntervalSince1970: seconds)
        }
        return decoder
    }()

    /// Returns the text itself for a `String`. Decodes any other type from the text as JSON, or, if that fails, from a
    /// JSON string that contains the text.
    func decode<Value: Decodable>(_ type: Value.Type, from text: String) throws -> Value {
        if let value = plainValue(type, text) { return value }
        var failure: (any Error)?
        if JSONText.mayBeginValue(text.utf8.first) {
            do {
                return try decoder.decode(type, from: Data(text.utf8))
            } catch {
                failure = error
            }
        }
        do {
            return try decoder.decode(type, from: Data(JSONText.string(text)))
        } catch {
            // If the text looks like an object or an array, the error of the first attempt explains more.
            throw JSONText.looksStructured(text.utf8) ? failure ?? error : error
        }
    }

    /// A decoder for the property, for types that decode it piece by piece.
    func decoder(forKey key: any CodingKey, text: String) throws -> any Decoder {
        let isJSON = (try? decoder.decode(AnyJSON.self, from: Data(text.utf8))) != nil
        // The property is decoded as the only one of an object, so that errors name it.
        let json = isJSON ? Array(text.utf8) : JSONText.string(text)
        let object = [UInt8(ascii: "{")] + JSONText.string(key.stringValue) + [UInt8(ascii: ":")] + json
        return try decoder.decode(OnlyProperty.self, from: Data(object + [UInt8(ascii: "}")])).decoder
    }

    /// The value, for types that need no JSON decoder if the text has their usual form; `nil` otherwise.
    private func plainValue<Value>(_ type: Value.Type, _ text: String) -> Value? {
        switch type {
        case is String.Type: text as? Value
        case is Int.Type: JSONText.isNumber(text.utf8) ? Int(text) as? Value : nil
        case is Double.Type: finite(text) as? Value
        case is Bool.Type: text == "true" ? true as? Value : text == "false" ? false as? Value : nil
        case is Date.Type: Timestamp.secondsSince1970(text).map { Date(timeIntervalSince1970: $0) } as? Value
        default: nil
        }
    }

    private func finite(_ text: String) -> Double? {
        guard JSONText.isNumber(text.utf8), let value = Double(text), value.isFinite else { return nil }
        return value
    }
}

/// Accepts any JSON.
private struct AnyJSON: Decodable {
    init(from decoder: any Decoder) {}
}

/// The decoder of the only property of an object.
private struct OnlyProperty: Decodable {
    let decoder: any Decoder

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: FieldKey.self)
        self.decoder = try container.superDecoder(forKey: container.allKeys.first ?? FieldKey(""))
    }
}

/// What an error says about the expected text of a Foundation type.
func foundationExpectation(of type: any Any.Type) -> String? {
    if type == Date.self { return "expected a date as 2024-05-01T12:00:00Z" }
    if type == UUID.self { return "expected a UUID" }
    if type == URL.self { return "expected a URL" }
    if type == Data.self { return "expected Base64" }
    if type == Decimal.self { return "expected a number" }
    return nil
}
