/// The commands that manage groups and their consumers.
///
/// Source: [XGROUP](https://redis.io/docs/latest/commands/xgroup/).
public enum XGROUP {
    /// Where a group begins to read.
    public enum Start: Sendable, Hashable {
        /// At the first entry of the stream (`0-0`).
        case beginning
        /// At the next entry that is added (`$`). The server never delivers earlier entries to the group.
        case latest
        /// At the first entry above this id.
        case id(StreamID)

        fileprivate func append(to encoder: inout CommandEncoder) {
            switch self {
            case .beginning: encoder.append(StreamID.zero)
            case .latest: encoder.append("$")
            case .id(let id): encoder.append(id)
            }
        }
    }

    fileprivate static func append(entriesRead: Int?, to encoder: inout CommandEncoder) {
        guard let entriesRead else { return }
        encoder.append("ENTRIESREAD")
        encoder.append(entriesRead)
    }

    /// Creates a group.
    ///
    /// Source: [XGROUP CREATE](https://redis.io/docs/latest/commands/xgroup-create/).
    public struct CREATE: RedisCommand {
        /// `XGROUP CREATE`.
        public static let name = "XGROUP CREATE"

        /// The stream.
        public var key: StreamKey
        /// The group.
        public var group: String
        /// Where the group begins to read. Default: ``Start/beginning``.
        public var start: Start
        /// Whether the server creates an empty stream if it does not exist (`MKSTREAM`). Default: `false`.
        public var createStream: Bool
        /// How many entries count as read by the group. The server computes the group's lag from it. Needs Redis 7.0.
        /// Default: unknown to the server.
        public var entriesRead: Int?

        /// Creates this group.
        public init(
            _ key: StreamKey,
            group: String,
            from start: Start = .beginning,
            createStream: Bool = false,
            entriesRead: Int? = nil
        ) {
            self.key = key
            self.group = group
            self.start = start
            self.createStream = createStream
            self.entriesRead = entriesRead
        }

        /// The stream.
        public var keys: [StreamKey] { [key] }

        /// Redis 7.0 for ``entriesRead``.
        public var requirement: ServerRequirement? {
            guard entriesRead != nil else { return nil }
            return ServerRequirement("XGROUP CREATE with ENTRIESREAD", redis: "7.0", valkey: "7.2")
        }

        /// Refuses a negative number of entries, and invalid names.
        public func validate() throws(RedisError) {
            try check(stream: key)
            try check(group: group)
            try check(entriesRead: entriesRead)
        }

        /// Writes the command.
        public func encode(into encoder: inout CommandEncoder) {
            encoder.append("XGROUP")
            encoder.append("CREATE")
            encoder.append(key)
            encoder.append(group)
            start.append(to: &encoder)
            if createStream { encoder.append("MKSTREAM") }
            XGROUP.append(entriesRead: entriesRead, to: &encoder)
        }

        /// Checks that the reply is `OK`.
        public func decode(_ reply: RedisReply) throws(RedisError) { try ok(reply) }
    }

    /// Sets the position from which a group continues to read.
    ///
    /// Source: [XGROUP SETID](https://redis.io/docs/latest/commands/xgroup-setid/).
    public struct SETID: RedisCommand {
        /// `XGROUP SETID`.
        public static let name = "XGROUP SETID"

        /// The stream.
        public var key: StreamKey
        /// The group.
        public var group: String
        /// Where the group continues to read.
        public var start: Start
        /// How many entries count as read by the group. The server computes the group's lag from it. Needs Redis 7.0.
        /// Default: unknown to the server.
        public var entriesRead: Int?

        /// Sets the position from which this group continues to read.
        public init(_ key: StreamKey, group: String, to start: Start, entriesRead: Int? = nil) {
            self.key = key
            self.group = group
            self.start = start
            self.entriesRead = entriesRead
        }

        /// The stream.
        public var keys: [StreamKey] { [key] }

        /// Redis 7.0 for ``entriesRead``.
        public var requirement: ServerRequirement? {
            guard entriesRead != nil else { return nil }
            return ServerRequirement("XGROUP SETID with ENTRIESREAD", redis: "7.0", valkey: "7.2")
        }

        /// Refuses a negative number of entries, and invalid names.
        public func validate() throws(RedisError) {
            try check(stream: key)
            try check(group: group)
            try check(entriesRead: entriesRead)
        }

        /// Writes the command.
        public func encode(into encoder: inout CommandEncoder) {
            encoder.append("XGROUP")
            encoder.append("SETID")
            encoder.append(key)
            encoder.append(group)
            start.append(to: &encoder)
            XGROUP.append(entriesRead: entriesRead, to: &encoder)
        }

        /// Checks that the reply is `OK`.
        public func decode(_ reply: RedisReply) throws(RedisError) { try ok(reply) }
    }

    /// Deletes a group with its pending list.
    ///
    /// Source: [XGROUP DESTROY](https://redis.io/docs/latest/commands/xgroup-destroy/).
    public struct DESTROY: RedisCommand {
        /// `XGROUP DESTROY`.
        public static let name = "XGROUP DESTROY"

        /// The stream.
        public var key: StreamKey
        /// The group.
        public var group: String

        /// Deletes this group.
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
            encoder.append("XGROUP")
            encoder.append("DESTROY")
            encoder.append(key)
            encoder.append(group)
        }

        /// Whether there was such a group.
        public func decode(_ reply: RedisReply) throws(RedisError) -> Bool { try flag(reply) }
    }
}

extension RedisCommand {
    fileprivate func check(entriesRead: Int?) throws(RedisError) {
        // Redis itself uses -1 for an unknown number.
        if let entriesRead, entriesRead < -1 { throw invalid("The number of entries read must not be negative.") }
    }
}
