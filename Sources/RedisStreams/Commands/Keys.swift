/// Asks the server for a reply, to test whether it is alive.
///
/// Source: [PING](https://redis.io/docs/latest/commands/ping/).
public struct PING: RedisCommand {
    /// `PING`.
    public static let name = "PING"

    /// Asks the server for a reply.
    public init() {}

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("PING")
    }

    /// Checks that the reply is `PONG`.
    public func decode(_ reply: RedisReply) throws(RedisError) {
        guard reply.isText("PONG") else { throw unexpected(reply) }
    }
}

/// Deletes keys, whatever they hold.
///
/// Source: [DEL](https://redis.io/docs/latest/commands/del/).
public struct DEL: RedisCommand {
    /// `DEL`.
    public static let name = "DEL"

    /// The keys, at least one. In a cluster they must be in one slot.
    public var keys: [StreamKey]

    /// Deletes these keys.
    public init(_ keys: [StreamKey]) {
        self.keys = keys
    }

    /// Refuses an empty list of keys.
    public func validate() throws(RedisError) { try check(keys: keys) }

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("DEL")
        encoder.append(keys)
    }

    /// How many of the keys existed.
    public func decode(_ reply: RedisReply) throws(RedisError) -> Int { try integer(reply) }
}

/// Counts which keys exist.
///
/// Source: [EXISTS](https://redis.io/docs/latest/commands/exists/).
public struct EXISTS: RedisCommand {
    /// `EXISTS`.
    public static let name = "EXISTS"

    /// The keys, at least one. In a cluster they must be in one slot.
    public var keys: [StreamKey]

    /// Counts which of these keys exist.
    public init(_ keys: [StreamKey]) {
        self.keys = keys
    }

    /// Refuses an empty list of keys.
    public func validate() throws(RedisError) { try check(keys: keys) }

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("EXISTS")
        encoder.append(keys)
    }

    /// How many of the keys exist; one that was named twice counts twice.
    public func decode(_ reply: RedisReply) throws(RedisError) -> Int { try integer(reply) }
}

/// Sets the time after which the server deletes a key.
///
/// Source: [EXPIRE](https://redis.io/docs/latest/commands/expire/).
public struct EXPIRE: RedisCommand {
    /// `EXPIRE`.
    public static let name = "EXPIRE"

    /// A condition for setting the time.
    public enum Condition: Sendable, Hashable {
        /// Only if the key has no time yet (`NX`).
        case ifNone
        /// Only if the key already has a time (`XX`).
        case ifAny
        /// Only if the new time is later than the key's present one (`GT`).
        case ifLater
        /// Only if the new time is earlier than the key's present one, or if the key has none (`LT`).
        case ifEarlier
    }

    /// The key.
    public var key: StreamKey
    /// The time from now, in whole seconds, rounded up, and above 0.
    public var time: Duration
    /// The condition for setting the time. Needs Redis 7.0. Default: none, the time is always set.
    public var condition: Condition?

    /// Sets the time for this key.
    public init(_ key: StreamKey, after time: Duration, _ condition: Condition? = nil) {
        self.key = key
        self.time = time
        self.condition = condition
    }

    /// The key.
    public var keys: [StreamKey] { [key] }

    /// Redis 7.0 for a condition.
    public var requirement: ServerRequirement? {
        guard condition != nil else { return nil }
        return ServerRequirement("EXPIRE with NX, XX, GT or LT", redis: "7.0", valkey: "7.2")
    }

    /// Refuses times of 0 or less, for which a server would delete the key at once.
    public func validate() throws(RedisError) {
        guard time > .zero else { throw invalid("The time must be above zero; to delete a key at once, use DEL.") }
    }

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("EXPIRE")
        encoder.append(key)
        encoder.append(seconds: time)
        switch condition {
        case .ifNone: encoder.append("NX")
        case .ifAny: encoder.append("XX")
        case .ifLater: encoder.append("GT")
        case .ifEarlier: encoder.append("LT")
        case nil: break
        }
    }

    /// Whether the server set the time: `false` if there is no such key, or if the condition did not hold.
    public func decode(_ reply: RedisReply) throws(RedisError) -> Bool { try flag(reply) }
}
