/// The value of a key.
enum StoredValue {
    case string(Bytes)
    /// The fields and values, in the order in which they were added.
    case hash([(field: Bytes, value: Bytes)])
    case stream(StreamValue)

    var typeName: String {
        switch self {
        case .string: "string"
        case .hash: "hash"
        case .stream: "stream"
        }
    }

    var isStream: Bool { if case .stream = self { true } else { false } }
}

/// One of the databases of the server.
struct Keyspace {
    struct Slot {
        var value: StoredValue
        /// When the key expires, in milliseconds since 1970; `nil` for never.
        var expiry: Int?
    }

    private(set) var slots: [Bytes: Slot] = [:]
    /// The keys that have an expiry.
    private(set) var expiringKeys: Set<Bytes> = []

    subscript(key: Bytes) -> Slot? {
        get { slots[key] }
        set {
            slots[key] = newValue
            if newValue?.expiry != nil {
                expiringKeys.insert(key)
            } else if !expiringKeys.isEmpty {
                expiringKeys.remove(key)
            }
        }
    }

    var isEmpty: Bool { slots.isEmpty }

    /// The keys in order, so that no reply depends on the order of a dictionary.
    var sortedKeys: [Bytes] { slots.keys.sorted(by: Bytes.precedes) }

    /// Returns the keys that have expired, in order.
    func expired(now: Int) -> [Bytes] {
        expiringKeys.filter { key in slots[key]?.expiry.map { $0 <= now } ?? false }.sorted(by: Bytes.precedes)
    }

    var nextExpiry: Int? {
        expiringKeys.lazy.compactMap { slots[$0]?.expiry }.min()
    }

    /// Returns a database with the same keys and values, which changes on its own.
    func copy() -> Keyspace {
        var copy = self
        for (key, slot) in slots {
            guard case .stream(let stream) = slot.value else { continue }
            copy.slots[key]?.value = .stream(stream.copy())
        }
        return copy
    }

    mutating func removeAll() {
        slots = [:]
        expiringKeys = []
    }
}

/// The key and its database, to identify a key in collections.
struct KeyPlace: Hashable {
    var database: Int
    var key: Bytes
}
