/// Runs a Lua script on the server, as one atomic step.
///
/// Source: [EVAL](https://redis.io/docs/latest/commands/eval/).
public struct EVAL: RedisCommand {
    /// `EVAL`.
    public static let name = "EVAL"

    /// The script, in Lua.
    public var script: String
    /// The keys that the script uses, `KEYS` in Lua. In a cluster they must be in one slot.
    public var keys: [StreamKey]
    /// The other arguments, `ARGV` in Lua.
    public var arguments: [FieldValue]

    /// Runs this script.
    public init(_ script: String, keys: [StreamKey] = [], arguments: [FieldValue] = []) {
        self.script = script
        self.keys = keys
        self.arguments = arguments
    }

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("EVAL")
        encoder.append(script)
        encoder.append(keys: keys, arguments: arguments)
    }

    /// What the script returned.
    public func decode(_ reply: RedisReply) throws(RedisError) -> RedisReply { reply }
}

/// Runs a Lua script that the server already knows, as one atomic step.
///
/// Source: [EVALSHA](https://redis.io/docs/latest/commands/evalsha/).
public struct EVALSHA: RedisCommand {
    /// `EVALSHA`.
    public static let name = "EVALSHA"

    /// The SHA-1 of the script, as 40 hexadecimal digits.
    public var sha1: String
    /// The keys that the script uses, `KEYS` in Lua. In a cluster they must be in one slot.
    public var keys: [StreamKey]
    /// The other arguments, `ARGV` in Lua.
    public var arguments: [FieldValue]

    /// Runs the script with this SHA-1.
    public init(_ sha1: String, keys: [StreamKey] = [], arguments: [FieldValue] = []) {
        self.sha1 = sha1
        self.keys = keys
        self.arguments = arguments
    }

    /// Refuses a text that is not a SHA-1.
    public func validate() throws(RedisError) {
        guard sha1.utf8.count == 40, sha1.allSatisfy(\.isHexDigit) else {
            throw invalid("A script is named by its SHA-1, which has 40 hexadecimal digits.")
        }
    }

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("EVALSHA")
        encoder.append(sha1)
        encoder.append(keys: keys, arguments: arguments)
    }

    /// What the script returned.
    public func decode(_ reply: RedisReply) throws(RedisError) -> RedisReply { reply }
}

extension CommandEncoder {
    fileprivate mutating func append(keys: [StreamKey], arguments: [FieldValue]) {
        append(keys.count)
        append(keys)
        for argument in arguments { argument.append(to: &self) }
    }
}
