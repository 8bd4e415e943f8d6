/// The largest replies that a connection accepts: beyond them it treats the peer as broken or hostile, and closes.
///
/// The reader checks the limits while a reply arrives. Whatever lengths a reply announces, the process allocates at
/// most a small multiple of the bytes that it has really received.
public struct RESPLimits: Sendable, Hashable {
    /// The maximum number of elements in one array. Default: 1,048,576.
    public var maxArrayElements: Int = 1_048_576

    /// The maximum size of one whole reply, counted as the bytes that it occupies in memory. Default: 64 MiB.
    public var maxReplyBytes: Int = 64 << 20

    /// The maximum depth of nested arrays, at most 8: hiredis reads no deeper, and `XINFO STREAM … FULL` within a
    /// transaction needs it. Default: 8.
    public var maxDepth: Int = 8

    /// The maximum number of bytes in one line: a simple string, an error, or a length. Default: 64 KiB.
    public var maxLineBytes: Int = 64 << 10

    /// The default limits.
    public init() {}

    func validate() throws(RedisError) {
        guard maxArrayElements > 0, maxReplyBytes > 0, (1...8).contains(maxDepth), maxLineBytes > 0 else {
            throw RedisError(.invalidConfiguration, "RESP limits must be positive, and maxDepth at most 8.")
        }
        guard maxReplyBytes <= 2 << 30 else {
            throw RedisError(.invalidConfiguration, "RESPLimits.maxReplyBytes must be at most 2 GiB.")
        }
    }
}
