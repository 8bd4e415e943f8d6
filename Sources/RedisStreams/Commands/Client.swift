/// The commands about connections, as the server sees them.
///
/// Source: [CLIENT](https://redis.io/docs/latest/commands/client/).
public enum CLIENT {
    /// Tells the id of the connection that it is sent on.
    ///
    /// Source: [CLIENT ID](https://redis.io/docs/latest/commands/client-id/).
    public struct ID: RedisCommand {
        /// `CLIENT ID`.
        public static let name = "CLIENT ID"

        /// Tells the id of the connection.
        public init() {}

        /// Writes the command.
        public func encode(into encoder: inout CommandEncoder) {
            encoder.append("CLIENT")
            encoder.append("ID")
        }

        /// The id, which the server never gives twice until it is restarted.
        public func decode(_ reply: RedisReply) throws(RedisError) -> Int { try integer(reply) }
    }

    /// Closes a connection.
    ///
    /// Source: [CLIENT KILL](https://redis.io/docs/latest/commands/client-kill/).
    public struct KILL: RedisCommand {
        /// `CLIENT KILL`.
        public static let name = "CLIENT KILL"

        /// The id of the connection to close. The one that this is sent on is never closed.
        public var id: Int

        /// Closes the connection with this id.
        public init(id: Int) {
            self.id = id
        }

        /// Refuses ids below 1.
        public func validate() throws(RedisError) { try check("The id of a connection", isPositive: id) }

        /// Writes the command.
        public func encode(into encoder: inout CommandEncoder) {
            encoder.append("CLIENT")
            encoder.append("KILL")
            encoder.append("ID")
            encoder.append(id)
        }

        /// Whether there was such a connection.
        public func decode(_ reply: RedisReply) throws(RedisError) -> Bool { try flag(reply) }
    }

    /// Ends the waiting of a connection that is blocked.
    ///
    /// Source: [CLIENT UNBLOCK](https://redis.io/docs/latest/commands/client-unblock/).
    public struct UNBLOCK: RedisCommand {
        /// `CLIENT UNBLOCK`.
        public static let name = "CLIENT UNBLOCK"

        /// What the blocked command gets as its reply.
        public enum Reason: Sendable, Hashable {
            /// What it gets when its time has passed.
            case timeout
            /// An error, ``RedisError/Code/unblocked``.
            case error
        }

        /// The id of the connection.
        public var id: Int
        /// What the blocked command gets as its reply. Default: ``Reason/timeout``.
        public var reason: Reason

        /// Ends the waiting of the connection with this id.
        public init(id: Int, reason: Reason = .timeout) {
            self.id = id
            self.reason = reason
        }

        /// Refuses ids below 1.
        public func validate() throws(RedisError) { try check("The id of a connection", isPositive: id) }

        /// Writes the command.
        public func encode(into encoder: inout CommandEncoder) {
            encoder.append("CLIENT")
            encoder.append("UNBLOCK")
            encoder.append(id)
            switch reason {
            case .timeout: encoder.append("TIMEOUT")
            case .error: encoder.append("ERROR")
            }
        }

        /// Whether the connection was blocked until now.
        public func decode(_ reply: RedisReply) throws(RedisError) -> Bool { try flag(reply) }
    }

    /// Asks for the connection with an id; `nil` if there is none.
    ///
    /// Source: [CLIENT LIST](https://redis.io/docs/latest/commands/client-list/).
    struct LIST: RedisCommand {
        static let name = "CLIENT LIST"

        /// A connection, as the server tells of it.
        struct Connection: Sendable, Equatable {
            /// Where it begins.
            var address: String
            /// Its name, or nothing.
            var name: String
            /// How long it has been there, in whole seconds.
            var age: Int
            /// The last command, which may be waiting.
            var command: String
        }

        var id: Int

        func encode(into encoder: inout CommandEncoder) {
            encoder.append("CLIENT")
            encoder.append("LIST")
            encoder.append("ID")
            encoder.append(id)
        }

        func decode(_ reply: RedisReply) throws(RedisError) -> Connection? {
            var values: [Substring: String] = [:]
            for word in try string(reply).split(whereSeparator: { $0 == " " || $0 == "\n" }) {
                let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                if parts.count == 2 { values[parts[0]] = String(parts[1]) }
            }
            guard let address = values["addr"], let age = values["age"].flatMap({ Int($0) }) else { return nil }
            return Connection(
                address: address,
                name: values["name"] ?? "",
                age: age,
                command: values["cmd"]?.lowercased() ?? ""
            )
        }
    }

    /// Names the connection, for `CLIENT LIST`.
    struct SETNAME: RedisCommand {
        static let name = "CLIENT SETNAME"

        var connectionName: String

        init(_ connectionName: String) {
            self.connectionName = connectionName
        }

        func validate() throws(RedisError) {
            // What Redis allows, so that the lines of CLIENT LIST can be read.
            guard connectionName.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
                throw invalid("The name of a connection must be of ASCII deadLetterEntries, digits and signs, without spaces.")
            }
        }

        func encode(into encoder: inout CommandEncoder) {
            encoder.append("CLIENT")
            encoder.append("SETNAME")
            encoder.append(connectionName)
        }

        func decode(_ reply: RedisReply) throws(RedisError) { try ok(reply) }
    }
}
