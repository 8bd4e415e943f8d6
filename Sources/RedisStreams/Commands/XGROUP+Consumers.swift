extension XGROUP {
    /// Creates a consumer of a group.
    ///
    /// Source: [XGROUP CREATECONSUMER](https://redis.io/docs/latest/commands/xgroup-createconsumer/).
    public struct CREATECONSUMER: RedisCommand {
        /// `XGROUP CREATECONSUMER`.
        public static let name = "XGROUP CREATECONSUMER"

        /// The stream.
        public var key: StreamKey
        /// The group.
        public var group: String
        /// The consumer.
        public var consumer: String

        /// Creates this consumer.
        public init(_ key: StreamKey, group: String, consumer: String) {
            self.key = key
            self.group = group
            self.consumer = consumer
        }

        /// The stream.
        public var keys: [StreamKey] { [key] }

        /// Refuses invalid names.
        public func validate() throws(RedisError) {
            try check(stream: key)
            try check(group: group)
            try check(consumer: consumer)
        }

        /// Writes the command.
        public func encode(into encoder: inout CommandEncoder) {
            encoder.append("XGROUP")
            encoder.append("CREATECONSUMER")
            encoder.append(key)
            encoder.append(group)
            encoder.append(consumer)
        }

        /// Whether the consumer is new.
        public func decode(_ reply: RedisReply) throws(RedisError) -> Bool { try flag(reply) }
    }

    /// Deletes a consumer of a group. **Its pending messages are lost**: the server delivers them to no consumer again.
    ///
    /// Source: [XGROUP DELCONSUMER](https://redis.io/docs/latest/commands/xgroup-delconsumer/).
    public struct DELCONSUMER: RedisCommand {
        /// `XGROUP DELCONSUMER`.
        public static let name = "XGROUP DELCONSUMER"

        /// The stream.
        public var key: StreamKey
        /// The group.
        public var group: String
        /// The consumer.
        public var consumer: String

        /// Deletes this consumer.
        public init(_ key: StreamKey, group: String, consumer: String) {
            self.key = key
            self.group = group
            self.consumer = consumer
        }

        /// The stream.
        public var keys: [StreamKey] { [key] }

        /// Refuses invalid names.
        public func validate() throws(RedisError) {
            try check(stream: key)
            try check(group: group)
            try check(consumer: consumer)
        }

        /// Writes the command.
        public func encode(into encoder: inout CommandEncoder) {
            encoder.append("XGROUP")
            encoder.append("DELCONSUMER")
            encoder.append(key)
            encoder.append(group)
            encoder.append(consumer)
        }

        /// How many pending messages were lost with the consumer.
        public func decode(_ reply: RedisReply) throws(RedisError) -> Int { try integer(reply) }
    }
}
