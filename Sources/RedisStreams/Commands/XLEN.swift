/// Counts the entries of a stream.
///
/// Source: [XLEN](https://redis.io/docs/latest/commands/xlen/).
public struct XLEN: RedisCommand {
    /// `XLEN`.
    public static let name = "XLEN"

    /// The stream.
    public var key: StreamKey

    /// Counts the entries of this stream.
    public init(_ key: StreamKey) {
        self.key = key
    }

    /// The stream.
    public var keys: [StreamKey] { [key] }

    /// Refuses an invalid name.
    public func validate() throws(RedisError) { try check(stream: key) }

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("XLEN")
        encoder.append(key)
    }

    /// The number of entries; 0 if there is no such stream.
    public func decode(_ reply: RedisReply) throws(RedisError) -> Int { try integer(reply) }
}
