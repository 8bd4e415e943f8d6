/// The commands that identify, list and control the connections of a server.
///
/// Source: [CLIENT](https://redis.io/docs/latest/commands/client/).
public enum CLIENT {
    /// Returns the id of the connection that it is sent on.
    ///
    /// Source: [CLIENT ID](https://redis.io/docs/latest/commands/client-id/).
    public struct ID: RedisCommand {
        /// `CLIENT ID`.
        public static let name = "CLIENT ID"

        /// Returns the id of the connection.
        public init() {}

        /// Writes the command.
        public func encode(into encoder: inout CommandEncoder) {
            encoder.append("CLIENT")
            encoder.append("ID")
        }

        /// The id. The server does not use an id twice until it restarts.
        public func decode(_ reply: RedisReply) throws(RedisError) -> Int { try integer(reply) }
    }

    /// Closes a connection.
    ///
    /// Source: [CLIENT KILL](https://redis.io/docs/latest/commands/client-kill/).
    public struct KILL: RedisCommand {
        /// `CLIENT KILL`.
        public static let name = "CLIENT KILL"

        /// The id of the connection to close. The server never closes the connection that the command is sent on.
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

    /// Unblocks a connection that waits in a blocking command.
    ///
    /// Source: [CLIENT UNBLOCK](https://redis.io/docs/latest/commands/client-unblock/).
    public struct UNBLOCK: RedisCommand {
        /// `CLIENT UNBLOCK`.
        public static let name = "CLIENT UNBLOCK"

        /// What the blocked command gets as its reply.
        public enum Reason: Sendable, Hashable {
            /// The reply that it gets after its blocking time.
            case timeout
            /// The error ``RedisError/Code/unblocked``.
            case error
        }

        /// The id of the connection.
        public var id: Int
        /// What the blocked command gets as its reply. Default: ``Reason/timeout``.
        public var reason: Reason

        /// Unblocks the connection with this id.
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

    /// Lists the connection with an id; `nil` if there is none.
    ///
    /// Source: [CLIENT LIST](https://redis.io/docs/latest/commands/client-list/).
    struct LIST: RedisCommand {
        static let name = "CLIENT LIST"

        /// A connection, as the server lists it.
        struct Connection: Sendable, Equatable {
            /// The address of the client.
            var address: String
            /// Its name; empty if it has none.
            var name: String
            /// How long it has been open, in whole seconds.
            var age: Int
            /// The last command, which may still be blocked.
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
            // Redis allows only these, so that the lines of CLIENT LIST can be parsed.
            guard connectionName.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
                throw invalid("The name of a connection must consist of printable ASCII characters, without spaces.")
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
