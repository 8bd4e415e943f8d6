/// The settings of `CONFIG GET` and `CONFIG SET`. Only those for the size of stream nodes change what the server does.
struct ServerSettings {
    private(set) var values: [(name: String, value: Bytes)] = [
        ("appendfsync", "everysec"), ("appendonly", "no"), ("databases", "16"), ("maxmemory", "0"),
        ("maxmemory-policy", "noeviction"), ("min-replicas-to-write", "0"), ("port", "6379"), ("save", ""),
        ("stream-node-max-bytes", "4096"), ("stream-node-max-entries", "100"), ("timeout", "0"),
    ].map { ($0.0, Bytes($0.1)) }

    private(set) var nodeLimits = StreamNode.Limits()

    /// The most entries that approximate trimming removes without `LIMIT`.
    var trimmingLimit: Int {
        let limit = nodeLimits.entries.multipliedReportingOverflow(by: 100).partialValue
        return limit <= 0 ? 10_000 : min(limit, 1_000_000)
    }

    subscript(name: String) -> Bytes? { values.first { $0.name == name }?.value }

    /// Sets a value. Returns what is wrong with it; `nil` if it was set. There has to be a setting of this name.
    mutating func set(_ name: String, to value: Bytes) -> String? {
        var value = value
        switch name {
        case "stream-node-max-entries":
            guard let count = value.canonicalInteger else { return "argument couldn't be parsed into an integer" }
            guard count >= 0 else { return "argument must be between 0 and 9223372036854775807 inclusive" }
            nodeLimits.entries = count
        case "stream-node-max-bytes":
            guard let size = Self.memory(value) else { return "argument must be a memory value" }
            nodeLimits.bytes = size
            value = Bytes("\(size)")
        case "databases": return "can't set immutable config"
        default: break
        }
        guard let index = values.firstIndex(where: { $0.name == name }) else { return nil }
        values[index].value = value
        return nil
    }

    /// Reads a number of bytes, with or without a unit.
    private static func memory(_ value: Bytes) -> Int? {
        let unit = String(value.text.drop { ("0"..."9").contains($0) }).lowercased()
        let units = [
            "": 1, "b": 1, "k": 1000, "kb": 1 << 10, "m": 1_000_000, "mb": 1 << 20, "g": 1_000_000_000, "gb": 1 << 30,
        ]
        guard let factor = units[unit], let number = Int(value.text.dropLast(unit.count)) else { return nil }
        let (size, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow ? nil : size
    }
}
