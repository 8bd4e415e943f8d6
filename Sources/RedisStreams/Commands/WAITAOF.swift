/// Waits until servers have saved the writes that were sent before on the same connection to their append-only files.
///
/// Source: [WAITAOF](https://redis.io/docs/latest/commands/waitaof/).
public struct WAITAOF: RedisCommand {
    /// `WAITAOF`.
    public static let name = "WAITAOF"

    /// Whose append-only files the writes are in.
    public struct Saved: Sendable, Hashable {
        /// Whether the server itself has saved the writes.
        public var local: Bool
        /// How many replicas have saved the writes.
        public var replicas: Int
    }

    /// Whether to wait for the server itself. It refuses that if it has no append-only file.
    public var local: Bool
    /// How many replicas to wait for.
    public var replicas: Int
    /// How long to wait, in whole milliseconds, rounded up: from 1 ms to a day.
    public var timeout: Duration

    /// Waits for the server itself, for this number of replicas, or for both.
    public init(local: Bool, replicas: Int, timeout: Duration) {
        self.local = local
        self.replicas = replicas
        self.timeout = timeout
    }

    /// The time given by ``timeout``.
    public var blockingTime: Duration? { timeout }

    /// Redis 7.2.
    public var requirement: ServerRequirement? { ServerRequirement("WAITAOF", redis: "7.2", valkey: "7.2") }

    /// Refuses a negative number of replicas, and a timeout below 1 ms (0 waits for ever) or above a day.
    public func validate() throws(RedisError) {
        guard replicas >= 0 else { throw invalid("The number of replicas must not be negative.") }
        try check(block: timeout)
    }

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("WAITAOF")
        encoder.append(local ? 1 : 0)
        encoder.append(replicas)
        encoder.append(milliseconds: timeout)
    }

    /// Who has saved the writes: fewer than asked for if the timeout passed.
    public func decode(_ reply: RedisReply) throws(RedisError) -> Saved {
        let counts = try elements(reply)
        guard counts.count == 2, let local = counts[offset: 0], let replicas = counts[offset: 1] else {
            throw unexpected(reply)
        }
        return Saved(local: try flag(local), replicas: try integer(replicas))
    }
}
