/// The first versions of Redis and Valkey that have a feature.
public struct ServerRequirement: Sendable, Hashable {
    /// The first version of Redis with the feature, such as `8.2`; `nil` if no version has it.
    public var redis: String?

    /// The first version of Valkey with the feature; `nil` if no version has it.
    public var valkey: String?

    /// The feature, as users know it: a command, or a command with an option.
    public var feature: String

    /// A feature with the first versions that have it.
    public init(_ feature: String, redis: String?, valkey: String? = nil) {
        self.feature = feature
        self.redis = redis
        self.valkey = valkey
    }
}

extension ServerRequirement {
    /// Whether the server is new enough. A server that does not report its version counts as new enough.
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

    /// The error for a server that is too old. Its message names the feature and the versions that have it.
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
