/// Removes the oldest entries of a stream.
///
/// Source: [XTRIM](https://redis.io/docs/latest/commands/xtrim/).
public struct XTRIM: RedisCommand {
    /// `XTRIM`.
    public static let name = "XTRIM"

    /// The stream.
    public var key: StreamKey
    /// How far to trim. ``TrimStrategy`` describes a combination that trims nothing on some servers.
    public var strategy: TrimStrategy
    /// What the server does with the references to the entries. Needs Redis 8.2; no Valkey has it. Default: it keeps
    /// them.
    public var references: ReferencePolicy?

    /// Trims this stream.
    public init(_ key: StreamKey, _ strategy: TrimStrategy, references: ReferencePolicy? = nil) {
        self.key = key
        self.strategy = strategy
        self.references = references
    }

    /// The stream.
    public var keys: [StreamKey] { [key] }

    /// Redis 8.2 for a reference policy, Valkey 9.2 to trim by bytes.
    public var requirement: ServerRequirement? {
        guard references != nil else { return strategy.requirement(of: Self.name) }
        return ServerRequirement("XTRIM with KEEPREF, DELREF or ACKED", redis: "8.2")
    }

    /// Refuses a negative length or limit, and an invalid name.
    public func validate() throws(RedisError) {
        try check(stream: key)
        try check(strategy)
    }

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("XTRIM")
        encoder.append(key)
        strategy.append(to: &encoder)
        references?.append(to: &encoder)
    }

    /// How many entries the server removed.
    public func decode(_ reply: RedisReply) throws(RedisError) -> Int { try integer(reply) }
}
