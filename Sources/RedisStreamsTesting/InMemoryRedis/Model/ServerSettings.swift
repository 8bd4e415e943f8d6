/// What `CONFIG GET` tells, and `CONFIG SET` takes note of. Nothing here depends on it.
struct ServerSettings {
    private(set) var values: [(name: String, value: Bytes)] = [
        ("appendfsync", "everysec"), ("appendonly", "no"), ("databases", "16"), ("maxmemory", "0"),
        ("maxmemory-policy", "noeviction"), ("min-replicas-to-write", "0"), ("port", "6379"), ("save", ""),
        ("stream-node-max-bytes", "4096"), ("stream-node-max-entries", "100"), ("timeout", "0"),
    ].map { ($0.0, Bytes($0.1)) }

    subscript(name: String) -> Bytes? {
        get { values.first { $0.name == name }?.value }
        set {
            guard let newValue, let index = values.firstIndex(where: { $0.name == name }) else { return }
            values[index].value = newValue
        }
    }
}
