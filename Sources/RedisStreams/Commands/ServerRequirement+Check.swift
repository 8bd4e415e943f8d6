extension ServerRequirement {
    /// Whether the server is new enough. A server that does not say its version counts as one that is.
    func isMet(by server: ServerInfo) -> Bool {
        guard let version = server.version else { return true }
        let needed: String?
        switch server.server {
        case .redis: needed = redis
        case .valkey: needed = valkey
        }
        guard let needed else { return false }
        return ServerVersion(needed).map { version >= $0 } ?? true
    }

    /// The error for a server that is too old: it names what is missing, and the version that has it.
    func error(server: ServerInfo, command: String) -> RedisError {
        let version = server.version?.description ?? "of an unknown version"
        let found =
            switch server.server {
            case .redis: "Redis \(version)"
            case .valkey: "Valkey \(version)"
            }
        let needed = [redis.map { "Redis \($0)" }, valkey.map { "Valkey \($0)" }].compactMap(\.self)
        return RedisError(
            .unsupportedByServer,
            "\(feature) needs \(needed.joined(separator: " or ")); the server is \(found). Upgrade the server, or do without.",
            command: command
        )
    }
}
