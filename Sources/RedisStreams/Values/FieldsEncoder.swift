/// Encodes a value as fields: each key at the top level of the value becomes the name of a field.
///
/// A plain value becomes text at once. A property that is encoded piece by piece, in a nested container, is kept as a
/// ``JSONNode`` until the whole value is encoded, since a container does not report when it is complete.
final class FieldsEncoder: Encoder {
    private enum Property {
        case text(String)
        case pieces(JSONNode)
    }

    private let type: any Any.Type
    private let json = FieldJSONEncoder()
    private var names: [String] = []
    private var properties: [String: Property] = [:]
    private var isObject = false
    private var sortsNames = false
    private var failure: RedisError?

    let codingPath: [any CodingKey] = []
    let userInfo: [CodingUserInfoKey: Any] = [:]

    init(type: any Any.Type) {
        self.type = type
    }

    /// Encodes the value whose properties become the fields: the value itself, or the one that it wraps.
    func encodeWhole<Value: Encodable>(_ value: Value) throws {
        guard !isWholeInJSON(Value.self) else { return refuse() }
        if Value.self is any UnorderedValue.Type { sortsNames = true }
        try value.encode(to: self)
    }

    /// The fields, once the value has been encoded.
    func fields() throws -> StreamFieldsToAdd {
        if let failure { throw failure }
        if sortsNames { names.sort() }
        var fields = StreamFieldsToAdd()
        fields.fields.reserveCapacity(names.count)
        for name in names {
            switch properties[name] {
            case .text(let text): fields.append(name, .text(text))
            case .pieces(let node): fields.append(name, .text(try text(of: node, name: name)))
            case nil: break
            }
        }
        guard !fields.fields.isEmpty else {
            throw RedisError(
                .encodingFailed,
                isObject
                    ? "\(type) has no property to encode (all are nil, or there are none), and an entry needs a field."
                    : "\(type) encodes nothing, and an entry needs a field."
            )
        }
        return fields
    }

    func encode<Value: Encodable>(_ value: Value, forKey key: any CodingKey) throws {
        // This checks the type, since a cast of the value would unwrap the optional.
        if let optional = Value.self as? any OptionalEncodable.Type {
            return try optional.encode(value, forKey: key, to: self)
        }
        set(key, .text(try text(of: value, name: key.stringValue)))
    }

    /// The node to which the property `key` is encoded piece by piece.
    func node(forKey key: any CodingKey) -> JSONNode {
        if case .pieces(let node) = properties[key.stringValue] { return node }
        let node = JSONNode()
        set(key, .pieces(node))
        return node
    }

    /// Records the error for a value that has no properties.
    func refuse() {
        failure =
            failure
            ?? RedisError(
                .encodingFailed,
                "\(type) has no properties that could be fields. Wrap it in a struct, or write the fields out: "
                    + "[\"value\": …]."
            )
    }

    private func set(_ key: any CodingKey, _ property: Property) {
        if properties.updateValue(property, forKey: key.stringValue) == nil { names.append(key.stringValue) }
    }

    private func text<Value: Encodable>(of value: Value, name: String) throws -> String {
        do {
            return try json.text(of: value)
        } catch {
            throw RedisError(encodingField: name, of: type, as: value is JSONNode ? nil : Value.self, failure: error)
        }
    }

    // MARK: Encoder

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        isObject = true
        return KeyedEncodingContainer(KeyedFields<Key>(encoder: self))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        refuse()
        return JSONNode().unkeyedContainer(codingPath: [])
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { WrappedValue(encoder: self) }
}

/// The properties of the value.
private struct KeyedFields<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let encoder: FieldsEncoder
    var codingPath: [any CodingKey] { [] }

    /// A nil property has no field, even if the value encodes it explicitly: every text could also be a `String`.
    func encodeNil(forKey key: Key) {}

    func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws { try encoder.encode(value, forKey: key) }
    func encode(_ value: Int128, forKey key: Key) throws { try encoder.encode(value, forKey: key) }
    func encode(_ value: UInt128, forKey key: Key) throws { try encoder.encode(value, forKey: key) }

    func nestedContainer<Nested: CodingKey>(
        keyedBy keyType: Nested.Type,
        forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        encoder.node(forKey: key).keyedContainer(codingPath: [key])
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        encoder.node(forKey: key).unkeyedContainer(codingPath: [key])
    }

    func superEncoder() -> any Encoder { superEncoder(for: FieldKey.superclass) }

    func superEncoder(forKey key: Key) -> any Encoder { superEncoder(for: key) }

    private func superEncoder(for key: any CodingKey) -> any Encoder {
        JSONNodeEncoder(node: encoder.node(forKey: key), codingPath: [key])
    }
}

/// A value that only wraps another one: the properties of the wrapped value are the fields.
private struct WrappedValue: SingleValueEncodingContainer {
    let encoder: FieldsEncoder
    var codingPath: [any CodingKey] { [] }

    func encodeNil() { encoder.refuse() }

    func encode<Value: Encodable>(_ value: Value) throws {
        // These types would ask for a single value container again, in endless recursion.
        if value is any PlainValue { encoder.refuse() } else { try encoder.encodeWhole(value) }
    }

    func encode(_ value: Int128) { encoder.refuse() }
    func encode(_ value: UInt128) { encoder.refuse() }
}

/// A value whose entries have no order.
private protocol UnorderedValue {}
extension Dictionary: UnorderedValue {}

/// An optional property, for which `nil` writes no field.
private protocol OptionalEncodable {
    static func encode(_ value: Any, forKey key: any CodingKey, to encoder: FieldsEncoder) throws
}

extension Optional: OptionalEncodable where Wrapped: Encodable {
    fileprivate static func encode(_ value: Any, forKey key: any CodingKey, to encoder: FieldsEncoder) throws {
        guard let value = value as? Wrapped? else { return }
        if let value { try encoder.encode(value, forKey: key) }
    }
}
