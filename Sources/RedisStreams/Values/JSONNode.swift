/// Collects the pieces of a property that is encoded piece by piece, until the whole property is written as JSON.
final class JSONNode {
    private enum Content {
        case nothing
        case value(any Encodable)
        case object([String: JSONNode])
        case array([JSONNode])
    }

    private var content = Content.nothing
    private var isContradictory = false

    var count: Int {
        if case .array(let nodes) = content { nodes.count } else { 0 }
    }

    func set(_ value: any Encodable) {
        if case .nothing = content { content = .value(value) } else { isContradictory = true }
    }

    /// Appends an empty element to the array, and returns it.
    func appended() -> JSONNode {
        let node = JSONNode()
        guard case .array(var nodes) = content else {
            isContradictory = true
            return node
        }
        content = .nothing  // lets the array grow in place
        nodes.append(node)
        content = .array(nodes)
        return node
    }

    /// Sets the element called `key` to an empty one, and returns it.
    func replaced(_ key: String) -> JSONNode {
        let node = JSONNode()
        guard case .object(var nodes) = content else {
            isContradictory = true
            return node
        }
        content = .nothing
        nodes[key] = node
        content = .object(nodes)
        return node
    }

    /// The element called `key`; a new and empty one if there is none.
    func existing(_ key: String) -> JSONNode {
        if case .object(let nodes) = content, let node = nodes[key] { return node }
        return replaced(key)
    }

    func keyedContainer<Key: CodingKey>(codingPath: [any CodingKey]) -> KeyedEncodingContainer<Key> {
        switch content {
        case .nothing: content = .object([:])
        case .object: break
        case .value, .array: isContradictory = true
        }
        return KeyedEncodingContainer(JSONObjectNode<Key>(node: self, codingPath: codingPath))
    }

    func unkeyedContainer(codingPath: [any CodingKey]) -> any UnkeyedEncodingContainer {
        switch content {
        case .nothing: content = .array([])
        case .array: break
        case .value, .object: isContradictory = true
        }
        return JSONArrayNode(node: self, codingPath: codingPath)
    }
}

extension JSONNode: Encodable {
    func encode(to encoder: any Encoder) throws {
        if isContradictory {
            let context = EncodingError.Context(
                codingPath: encoder.codingPath,
                debugDescription: "Encoded as several kinds of value at once."
            )
            throw EncodingError.invalidValue(self, context)
        }
        switch content {
        case .nothing:
            _ = encoder.container(keyedBy: FieldKey.self)
        case .value(let value):
            var container = encoder.singleValueContainer()
            try container.encode(value)
        case .object(let nodes):
            var container = encoder.container(keyedBy: FieldKey.self)
            for (key, node) in nodes { try container.encode(node, forKey: FieldKey(key)) }
        case .array(let nodes):
            var container = encoder.unkeyedContainer()
            for node in nodes { try container.encode(node) }
        }
    }
}

/// The encoder to which a class encodes its superclass.
struct JSONNodeEncoder: Encoder {
    let node: JSONNode
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        node.keyedContainer(codingPath: codingPath)
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer { node.unkeyedContainer(codingPath: codingPath) }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        JSONValueNode(node: node, codingPath: codingPath)
    }
}

private struct JSONValueNode: SingleValueEncodingContainer {
    let node: JSONNode
    let codingPath: [any CodingKey]

    func encodeNil() { node.set(Int?.none) }
    func encode<Value: Encodable>(_ value: Value) { node.set(value) }
    func encode(_ value: Int128) { node.set(value) }
    func encode(_ value: UInt128) { node.set(value) }
}

private struct JSONObjectNode<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let node: JSONNode
    let codingPath: [any CodingKey]

    func encodeNil(forKey key: Key) { node.replaced(key.stringValue).set(Int?.none) }
    func encode<Value: Encodable>(_ value: Value, forKey key: Key) { node.replaced(key.stringValue).set(value) }
    func encode(_ value: Int128, forKey key: Key) { node.replaced(key.stringValue).set(value) }
    func encode(_ value: UInt128, forKey key: Key) { node.replaced(key.stringValue).set(value) }

    func nestedContainer<Nested: CodingKey>(
        keyedBy keyType: Nested.Type,
        forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        node.existing(key.stringValue).keyedContainer(codingPath: codingPath + [key])
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        node.existing(key.stringValue).unkeyedContainer(codingPath: codingPath + [key])
    }

    func superEncoder() -> any Encoder { superEncoder(for: FieldKey.superclass) }
    func superEncoder(forKey key: Key) -> any Encoder { superEncoder(for: key) }

    private func superEncoder(for key: any CodingKey) -> any Encoder {
        JSONNodeEncoder(node: node.existing(key.stringValue), codingPath: codingPath + [key])
    }
}

private struct JSONArrayNode: UnkeyedEncodingContainer {
    let node: JSONNode
    let codingPath: [any CodingKey]
    var count: Int { node.count }

    private var nextPath: [any CodingKey] { codingPath + [FieldKey(index: count)] }

    func encodeNil() { node.appended().set(Int?.none) }
    func encode<Value: Encodable>(_ value: Value) { node.appended().set(value) }
    func encode(_ value: Int128) { node.appended().set(value) }
    func encode(_ value: UInt128) { node.appended().set(value) }

    func nestedContainer<Nested: CodingKey>(keyedBy keyType: Nested.Type) -> KeyedEncodingContainer<Nested> {
        let path = nextPath
        return node.appended().keyedContainer(codingPath: path)
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        let path = nextPath
        return node.appended().unkeyedContainer(codingPath: path)
    }

    func superEncoder() -> any Encoder {
        let path = nextPath
        return JSONNodeEncoder(node: node.appended(), codingPath: path)
    }
}
