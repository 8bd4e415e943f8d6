/// Decodes a value from fields: each key at the top level of the value is the name of a field.
final class FieldsDecoder: Decoder {
    private let fields: StreamFields
    private let type: any Any.Type
    private let json = FieldJSONDecoder()

    /// The first position of each name, for entries with so many fields that a linear search would be slow.
    private lazy var positions: [[UInt8]: Int] = {
        var positions: [[UInt8]: Int] = [:]
        for position in fields.indices.reversed() { positions[fields[position].nameBytes] = position }
        return positions
    }()

    /// An error that was found in a method that cannot throw.
    private(set) var failure: RedisError?

    let codingPath: [any CodingKey] = []
    let userInfo: [CodingUserInfoKey: Any] = [:]

    init(fields: StreamFields, type: any Any.Type) {
        self.fields = fields
        self.type = type
    }

    /// Decodes the value whose properties are the fields: the value itself, or the one that it wraps.
    func decodeWhole<Value: Decodable>(_ type: Value.Type) throws -> Value {
        guard !isWholeInJSON(type) else { throw refusal(of: type) }
        return try Value(from: self)
    }

    /// The error for a type that has no properties.
    func refusal(of type: any Any.Type) -> DecodingError {
        let error = RedisError(
            .decodingFailed,
            "\(self.type) has no properties that could be fields. Decode a struct of them, or read "
                + "the field by its name."
        )
        return .typeMismatch(type, context(path: [], error: error))
    }

    func field(_ key: any CodingKey) -> StreamField? {
        let name = key.stringValue
        guard fields.count > 16 else { return fields.field(name) }
        return positions[Array(name.utf8)].map { fields[$0] }
    }

    /// The field for a key; throws if it is missing.
    func requiredField(_ key: any CodingKey) throws -> StreamField {
        if let field = field(key) { return field }
        let error = RedisError(
            .decodingFailed,
            "The field \(quoted(key.stringValue)), which \(type) needs, is missing."
        )
        throw DecodingError.keyNotFound(key, context(path: [], error: error))
    }

    func isNil(_ field: StreamField) -> Bool {
        unsafe field.withUnsafeValueBytes { unsafe JSONText.isNull($0) }
    }

    func decode<Value: Decodable>(_ type: Value.Type, forKey key: any CodingKey) throws -> Value {
        if let optional = type as? any OptionalDecodable.Type {
            guard let value = try optional.decode(forKey: key, from: self) as? Value else { throw refusal(of: type) }
            return value
        }
        return try decode(type, from: requiredField(key), key: key)
    }

    func decodeIfPresent<Value: Decodable>(_ type: Value.Type, forKey key: any CodingKey) throws -> Value? {
        guard let field = field(key) else { return nil }
        // For a String, "null" is ordinary text.
        if type != String.self, isNil(field) { return nil }
        return try decode(type, from: field, key: key)
    }

    private func decode<Value: Decodable>(
        _ type: Value.Type,
        from field: StreamField,
        key: any CodingKey
    ) throws -> Value {
        let text = try text(of: field, key: key, expected: type)
        do {
            return try json.decode(type, from: text)
        } catch {
            let failure = RedisError(decodingField: key.stringValue, of: self.type, as: type, failure: error)
            throw DecodingError.dataCorrupted(context(path: [key], error: failure))
        }
    }

    private func text(of field: StreamField, key: any CodingKey, expected: any Any.Type) throws -> String {
        let text = unsafe field.withUnsafeValueBytes { bytes in unsafe String(validating: bytes, as: UTF8.self) }
        if let text { return text }
        let error = RedisError(
            .decodingFailed,
            "The field \(quoted(key.stringValue)) of \(type) does not read as \(expected): its bytes are not UTF-8. "
                + "Read it with fields.field(_:) and valueBytes, or send binary data as Base64."
        )
        throw DecodingError.dataCorrupted(context(path: [key], error: error))
    }

    /// A decoder for one field, for types that decode it piece by piece.
    func nestedDecoder(forKey key: any CodingKey) throws -> any Decoder {
        let text = try text(of: requiredField(key), key: key, expected: [String: Any].self)
        return try json.decoder(forKey: key, text: text)
    }

    /// The names of the fields, each once.
    func keys<Key: CodingKey>() -> [Key] {
        var seen: Set<[UInt8]> = []
        return fields.compactMap { field in
            guard let key = Key(stringValue: field.name), seen.insert(field.nameBytes).inserted else { return nil }
            if key.stringValue.utf8.elementsEqual(field.nameBytes) { return key }
            // A type with fixed keys does not have this one, but a dictionary would lose the field.
            failure =
                failure
                ?? RedisError(.decodingFailed, "\(type) cannot be read: the name of a field is not UTF-8 text.")
            return nil
        }
    }

    private func context(path: [any CodingKey], error: RedisError) -> DecodingError.Context {
        DecodingError.Context(codingPath: path, debugDescription: error.message, underlyingError: error)
    }

    // MARK: Decoder

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(KeyedFields<Key>(decoder: self))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer { throw refusal(of: [Any].self) }

    func singleValueContainer() -> any SingleValueDecodingContainer { WrappedValue(decoder: self) }
}

/// The fields as the properties of the value.
private struct KeyedFields<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let decoder: FieldsDecoder
    var codingPath: [any CodingKey] { [] }
    var allKeys: [Key] { decoder.keys() }

    func contains(_ key: Key) -> Bool { decoder.field(key) != nil }

    /// A missing field is nil, too, since the encoder writes no field for nil.
    func decodeNil(forKey key: Key) -> Bool { decoder.field(key).map(decoder.isNil) ?? true }

    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        try decoder.decode(type, forKey: key)
    }
    func decode(_ type: Int128.Type, forKey key: Key) throws -> Int128 { try decoder.decode(type, forKey: key) }
    func decode(_ type: UInt128.Type, forKey key: Key) throws -> UInt128 { try decoder.decode(type, forKey: key) }

    func decodeIfPresent<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value? {
        try decoder.decodeIfPresent(type, forKey: key)
    }
    func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? {
        try decoder.decodeIfPresent(type, forKey: key)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type,
        forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> {
        try decoder.nestedDecoder(forKey: key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try decoder.nestedDecoder(forKey: key).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder { try decoder.nestedDecoder(forKey: FieldKey.superclass) }

    func superDecoder(forKey key: Key) throws -> any Decoder { try decoder.nestedDecoder(forKey: key) }
}

/// A value that only wraps another one: the fields are the properties of the wrapped value.
private struct WrappedValue: SingleValueDecodingContainer {
    let decoder: FieldsDecoder
    var codingPath: [any CodingKey] { [] }

    func decodeNil() -> Bool { false }

    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        // These types would ask for a single value container again, in endless recursion.
        guard !(type is any PlainValue.Type) else { throw decoder.refusal(of: type) }
        return try decoder.decodeWhole(type)
    }
    func decode(_ type: Int128.Type) throws -> Int128 { throw decoder.refusal(of: type) }
    func decode(_ type: UInt128.Type) throws -> UInt128 { throw decoder.refusal(of: type) }
}

/// An optional property: `nil` if there is no field.
private protocol OptionalDecodable {
    static func decode(forKey key: any CodingKey, from decoder: FieldsDecoder) throws -> Any
}

extension Optional: OptionalDecodable where Wrapped: Decodable {
    fileprivate static func decode(forKey key: any CodingKey, from decoder: FieldsDecoder) throws -> Any {
        try decoder.decodeIfPresent(Wrapped.self, forKey: key) as Any
    }
}
