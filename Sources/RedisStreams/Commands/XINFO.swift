/// The commands that tell what a server knows of a stream. They are read by name: what a version adds is ignored, and
/// what it lacks is `nil`.
///
/// Source: [XINFO](https://redis.io/docs/latest/commands/xinfo/).
public enum XINFO {
    /// Tells about a stream.
    ///
    /// Source: [XINFO STREAM](https://redis.io/docs/latest/commands/xinfo-stream/).
    public struct STREAM: RedisCommand {
        /// `XINFO STREAM`.
        public static let name = "XINFO STREAM"

        /// The stream.
        public var key: StreamKey

        /// Tells about this stream.
        public init(_ key: StreamKey) {
            self.key = key
        }

        /// The stream.
        public var keys: [StreamKey] { [key] }

        /// Refuses an unfit name.
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

    /// Tells everything about a stream, its groups and their consumers (`FULL`).
    ///
    /// Source: [XINFO STREAM](https://redis.io/docs/latest/commands/xinfo-stream/).
    public struct STREAMFULL: RedisCommand {
        /// `XINFO STREAM`.
        public static let name = "XINFO STREAM"

        /// The stream.
        public var key: StreamKey
        /// The most entries and pending messages in each list; 0 for all. Default: 10, as the server's.
        public var count: Int?

        /// Tells everything about this stream.
        public init(_ key: StreamKey, count: Int? = nil) {
            self.key = key
            self.count = count
        }

        /// The stream.
        public var keys: [StreamKey] { [key] }

        /// Refuses a negative count, and an unfit name.
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

    /// Tells about the groups of a stream.
    ///
    /// Source: [XINFO GROUPS](https://redis.io/docs/latest/commands/xinfo-groups/).
    public struct GROUPS: RedisCommand {
        /// `XINFO GROUPS`.
        public static let name = "XINFO GROUPS"

        /// The stream.
        public var key: StreamKey

        /// Tells about the groups of this stream.
        public init(_ key: StreamKey) {
            self.key = key
        }

        /// The stream.
        public var keys: [StreamKey] { [key] }

        /// Refuses an unfit name.
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

    /// Tells about the consumers of a group.
    ///
    /// Source: [XINFO CONSUMERS](https://redis.io/docs/latest/commands/xinfo-consumers/).
    public struct CONSUMERS: RedisCommand {
        /// `XINFO CONSUMERS`.
        public static let name = "XINFO CONSUMERS"

        /// The stream.
        public var key: StreamKey
        /// The group.
        public var group: String

        /// Tells about the consumers of this group.
        public init(_ key: StreamKey, group: String) {
            self.key = key
            self.group = group
        }

        /// The stream.
        public var keys: [StreamKey] { [key] }

        /// Refuses unfit names.
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
