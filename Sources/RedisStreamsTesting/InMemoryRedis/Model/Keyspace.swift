/// What a key holds.
enum StoredValue {
    case string(Bytes)
    /// Fields and values, in the order in which they were added.
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

/// One of the server's databases.
struct Keyspace {
    struct Slot {
        var value: StoredValue
        /// When the key expires, in milliseconds since 1970; `nil` for never.
        var expiry: Int?
    }

    private(set) var slots: [Bytes: Slot] = [:]
    /// The keys that expire one day.
    private(set) var mortals: Set<Bytes> = []

    subscript(key: Bytes) -> Slot? {
        get { slots[key] }
        set {
            slots[key] = newValue
            if newValue?.expiry != nil {
                mortals.insert(key)
            } else if !mortals.isEmpty {
                mortals.remove(key)
            }
        }
    }

    var isEmpty: Bool { slots.isEmpty }

    /// In order, so that nothing depends on how a dictionary happens to be laid out.
    var sortedKeys: [Bytes] { slots.keys.sorted(by: Bytes.precedes) }

    /// The keys that have expired, in order.
    func expired(now: Int) -> [Bytes] {
        mortals.filter { key in slots[key]?.expiry.map { $0 <= now } ?? false }.sorted(by: Bytes.precedes)
    }

    var nextExpiry: Int? {
        mortals.lazy.compactMap { slots[$0]?.expiry }.min()
    }

    mutating func removeAll() {
        slots = [:]
        mortals = []
    }
}

/// A key of a database, for what is remembered about keys.
struct KeyPlace: Hashable {
    var database: Int
    var key: Bytes
}
