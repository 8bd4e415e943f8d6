/// The commands that manage groups and their consumers.
///
/// Source: [XGROUP](https://redis.io/docs/latest/commands/xgroup/).
public enum XGROUP {
    /// Where a group begins to read.
    public enum Start: Sendable, Hashable {
        /// With the first entry of the stream (`0-0`).
        case beginning
        /// With the entries that are added from now on (`$`). What was added before is never delivered to the group.
        case latest
        /// With the first entry above this id.
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
        /// Whether a stream that does not exist is created, empty (`MKSTREAM`). Default: `false`.
        public var createStream: Bool
        /// How many entries the group counts as read, from which the server works out its lag. Needs Redis 7.0. Default:
        /// the server does not know.
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

        /// Refuses a negative number of entries, and unfit names.
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

        /// Nothing but that it worked.
        public func decode(_ reply: RedisReply) throws(RedisError) { try ok(reply) }
    }

    /// Sets from where on a group reads.
    ///
    /// Source: [XGROUP SETID](https://redis.io/docs/latest/commands/xgroup-setid/).
    public struct SETID: RedisCommand {
        /// `XGROUP SETID`.
        public static let name = "XGROUP SETID"

        /// The stream.
        public var key: StreamKey
        /// The group.
        public var group: String
        /// Where the group goes on reading.
        public var start: Start
        /// How many entries the group counts as read, from which the server works out its lag. Needs Redis 7.0. Default:
        /// the server does not know.
        public var entriesRead: Int?

        /// Sets from where on this group reads.
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

        /// Refuses a negative number of entries, and unfit names.
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

        /// Nothing but that it worked.
        public func decode(_ reply: RedisReply) throws(RedisError) { try ok(reply) }
    }

    /// Deletes a group, with everything that is pending for it.
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

        /// Refuses unfit names.
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
        // -1 is how Redis itself says that it does not know.
        if let entriesRead, entriesRead < -1 { throw invalid("The number of entries read must not be negative.") }
    }
}
