/// Waits until replicas have received the writes that were sent before on the same connection.
///
/// A replica can still lose these writes if it shuts down before it has saved them.
///
/// Source: [WAIT](https://redis.io/docs/latest/commands/wait/).
public struct WAIT: RedisCommand {
    /// `WAIT`.
    public static let name = "WAIT"

    /// How many replicas to wait for.
    public var replicas: Int
    /// How long to wait, in whole milliseconds, rounded up: from 1 ms to a day.
    public var timeout: Duration

    /// Waits for this number of replicas.
    public init(replicas: Int, timeout: Duration) {
        self.replicas = replicas
        self.timeout = timeout
    }

    /// The time given by ``timeout``.
    public var blockingTime: Duration? { timeout }

    /// Refuses a negative number of replicas, and a timeout below 1 ms (0 waits for ever) or above a day.
    public func validate() throws(RedisError) {
        guard replicas >= 0 else { throw invalid("The number of replicas must not be negative.") }
        try check(block: timeout)
    }

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("WAIT")
        encoder.append(replicas)
        encoder.append(milliseconds: timeout)
    }

    /// How many replicas have received the writes: fewer than asked for if the timeout passed.
    public func decode(_ reply: RedisReply) throws(RedisError) -> Int { try integer(reply) }
}

/// Asks a server for information about itself.
///
/// Source: [INFO](https://redis.io/docs/latest/commands/info/).
public struct INFO: RedisCommand {
    /// `INFO`.
    public static let name = "INFO"

    /// The section to return, such as `server` or `memory`. Default: the sections that the server returns by default.
    public var section: String?

    /// Asks for this section.
    public init(section: String? = nil) {
        self.section = section
    }

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("INFO")
        if let section { encoder.append(section) }
    }

    /// The values that the server reports.
    public func decode(_ reply: RedisReply) throws(RedisError) -> ServerInfo { ServerInfo(try string(reply)) }
}

/// Asks a server for its role: master, replica or sentinel.
///
/// Source: [ROLE](https://redis.io/docs/latest/commands/role/).
public struct ROLE: RedisCommand {
    /// `ROLE`.
    public static let name = "ROLE"

    /// Asks for the role.
    public init() {}

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("ROLE")
    }

    /// The role.
    public func decode(_ reply: RedisReply) throws(RedisError) -> ServerRole {
        let parts = Array(try elements(reply))
        guard let first = parts.first else { throw unexpected(reply) }
        let role = try string(first)
        switch role {
        case "master":
            guard parts.count >= 3 else { throw unexpected(reply) }
            return .master(offset: try integer(parts[1]), replicaCount: try elements(parts[2]).count)
        case "slave", "replica":
            guard parts.count >= 4 else { throw unexpected(reply) }
            return .replica(host: try string(parts[1]), port: try integer(parts[2]), state: try string(parts[3]))
        case "sentinel":
            guard parts.count >= 2, let masters = parts[1].mapElements(\.string) else { throw unexpected(reply) }
            return .sentinel(masters: masters)
        default:
            return .other(role)
        }
    }
}
