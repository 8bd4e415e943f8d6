/// What a connection accepts from its peer before it takes it for broken or hostile and closes.
///
/// The limits are checked while a reply arrives, so that no reply, whatever it claims to be, makes the process allocate
/// more than a small multiple of the bytes that were really received.
public struct RESPLimits: Sendable, Hashable {
    /// The most elements in one array. Default: 1,048,576.
    public var maxArrayElements: Int = 1_048_576

    /// The most bytes in one whole reply, counting what it occupies in memory. Default: 64 MiB.
    public var maxReplyBytes: Int = 64 << 20

    /// The most arrays nested in each other, up to 8, which is as deep as hiredis reads and as `XINFO STREAM … FULL`
    /// within a transaction needs. Default: 8.
    public var maxDepth: Int = 8

    /// The most bytes in one line: a simple string, an error, or a length. Default: 64 KiB.
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
