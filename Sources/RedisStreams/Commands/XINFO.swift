/// The commands that return information about a stream. Replies are decoded by name: values that the library does not
/// know are ignored, and values that the server does not send are `nil`.
///
/// Source: [XINFO](https://redis.io/docs/latest/commands/xinfo/).
public enum XINFO {
    /// Returns information about a stream.
    ///
    /// Source: [XINFO STREAM](https://redis.io/docs/latest/commands/xinfo-stream/).
    public struct STREAM: RedisCommand {
        /// `XINFO STREAM`.
        public static let name = "XINFO STREAM"

        /// The stream.
        public var key: StreamKey

        /// Returns information about this stream.
        public init(_ key: StreamKey) {
            self.key = key
        }

        /// The stream.
        public var keys: [StreamKey] { [key] }

        /// Refuses an invalid name.
        public func validate() throws(RedisError) { try check(stream: key) }

        /// Writes the command.
        public func encode(into encoder: inout CommandEncoder) {
            encoder.append("XINFO")
            encoder.append("STREAM")
            encoder.append(key)
        }

        /// What the server knows.
        public func decode(_ reply: RedisReply) throws(RedisError) -> StreamInfo {
            guard let info = StreamInfo(stream: key, reply: reply) else { throw unexpected(reply) }
            return info
        }
    }

    /// Returns all information about a stream, its groups and their consumers (`FULL`).
    ///
    /// Source: [XINFO STREAM](https://redis.io/docs/latest/commands/xinfo-stream/).
    public struct STREAMFULL: RedisCommand {
        /// `XINFO STREAM`.
        public static let name = "XINFO STREAM"

        /// The stream.
        public var key: StreamKey
        /// The maximum number of entries or pending messages in each list; 0 for all. Default: 10, which is the
        /// server's default.
        public var count: Int?

        /// Returns all information about this stream.
        public init(_ key: StreamKey, count: Int? = nil) {
            self.key = key
            self.count = count
        }

        /// The stream.
        public var keys: [StreamKey] { [key] }

        /// Refuses a negative count, and an invalid name.
        public func validate() throws(RedisError) {
            try check(stream: key)
            if let count, count < 0 { throw invalid("The count must not be negative; 0 is for all.") }
        }

        /// Writes the command.
        public func encode(into encoder: inout CommandEncoder) {
            encoder.append("XINFO")
            encoder.append("STREAM")
            encoder.append(key)
            encoder.append("FULL")
            encoder.append(count: count)
        }

        /// What the server knows.
        public func decode(_ reply: RedisReply) throws(RedisError) -> StreamFullInfo {
            guard let info = StreamFullInfo(stream: key, reply: reply) else { throw unexpected(reply) }
            return info
        }
    }

    /// Returns information about the groups of a stream.
    ///
    /// Source: [XINFO GROUPS](https://redis.io/docs/latest/commands/xinfo-groups/).
    public struct GROUPS: RedisCommand {
        /// `XINFO GROUPS`.
        public static let name = "XINFO GROUPS"

        /// The stream.
        public var key: StreamKey

        /// Returns information about the groups of this stream.
        public init(_ key: StreamKey) {
            self.key = key
        }

        /// The stream.
        public var keys: [StreamKey] { [key] }

        /// Refuses an invalid name.
        public func validate() throws(RedisError) { try check(stream: key) }

        /// Writes the command.
        public func encode(into encoder: inout CommandEncoder) {
            encoder.append("XINFO")
            encoder.append("GROUPS")
            encoder.append(key)
        }

        /// The groups.
        public func decode(_ reply: RedisReply) throws(RedisError) -> [GroupInfo] {
            guard let groups = reply.mapElements(GroupInfo.init) else { throw unexpected(reply) }
            return groups
        }
    }

    /// Returns information about the consumers of a group.
    ///
    /// Source: [XINFO CONSUMERS](https://redis.io/docs/latest/commands/xinfo-consumers/).
    public struct CONSUMERS: RedisCommand {
        /// `XINFO CONSUMERS`.
        public static let name = "XINFO CONSUMERS"

        /// The stream.
        public var key: StreamKey
        /// The group.
        public var group: String

        /// Returns information about the consumers of this group.
        public init(_ key: StreamKey, group: String) {
            self.key = key
            self.group = group
        }

        /// The stream.
        public var keys: [StreamKey] { [key] }

        /// Refuses invalid names.
        public func validate() throws(RedisError) {
            try check(stream: key)
            try check(group: group)
        }

        /// Writes the command.
        public func encode(into encoder: inout CommandEncoder) {
            encoder.append("XINFO")
            encoder.append("CONSUMERS")
            encoder.append(key)
            encoder.append(group)
        }

        /// The consumers.
        public func decode(_ reply: RedisReply) throws(RedisError) -> [ConsumerInfo] {
            guard let consumers = reply.mapElements(ConsumerInfo.init) else { throw unexpected(reply) }
            return consumers
        }
    }
}
