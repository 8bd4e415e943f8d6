/// Any command, given by its name and arguments.
///
/// ``validate()`` refuses commands that would change the connection for other callers who share it, such as
/// `SUBSCRIBE`, `MULTI` and `SELECT`, and commands that would wait for ever. The arguments determine whether the
/// command blocks.
///
/// Source: [Commands](https://redis.io/docs/latest/commands/).
public struct RawCommand: RedisCommand {
    /// The name of a command whose first argument does not look like a command name.
    public static let name = "RAW"

    /// The name and all arguments.
    public var arguments: [FieldValue]
    /// The keys among the arguments. The library does not find them by itself, and needs them in a cluster.
    public var keys: [StreamKey]

    /// The command with this name and these arguments.
    public init(_ arguments: FieldValue...) {
        self.init(arguments)
    }

    /// The command with this name and these arguments.
    public init(_ arguments: [FieldValue], keys: [StreamKey] = []) {
        self.arguments = arguments
        self.keys = keys
    }

    /// The command with this name and these arguments.
    public init(_ name: FieldValue, _ arguments: [FieldValue], keys: [StreamKey] = []) {
        self.init([name] + arguments, keys: keys)
    }

    /// The name in the first argument, with the subcommand if there is one. It contains no argument that may be a
    /// secret.
    public var name: String {
        guard let word = word(0) else { return Self.name }
        guard RawCommandRules.containers.contains(word), let subcommand = self.word(1) else { return word }
        return "\(word) \(subcommand)"
    }

    /// How long the server may block according to the arguments; `nil` for a command that does not block.
    public var blockingTime: Duration? {
        if case .time(let time) = blocking { return time }
        return nil
    }

    /// Refuses an empty list, a name with spaces, a command that changes the connection, and a command that would wait
    /// for ever.
    public func validate() throws(RedisError) {
        guard let first = arguments.first, first.byteCount > 0 else {
            throw invalid("A command needs a name: give it as the first argument.")
        }
        guard !first.plainText.utf8.contains(where: { $0 <= 0x20 }) else {
            throw invalid(
                "The name of a command has no spaces: give each argument by itself, as in send(\"GET\", \"foo\")."
            )
        }
        if let reason = RawCommandRules.refused[name] ?? word(0).flatMap({ RawCommandRules.refused[$0] }) {
            throw invalid("\(name) cannot be sent here: \(reason).")
        }
        switch blocking {
        case .forEver:
            throw invalid(
                "\(name) would wait for ever, also on a dead connection: give a time above 0, and send it again after "
                    + "each timeout."
            )
        case .invalid: throw invalid("The timeout of \(name) is missing, or is not a number above 0 and a day at most.")
        case .time, .never: break
        }
    }

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        for argument in arguments { argument.append(to: &encoder) }
    }

    /// The reply, as it is.
    public func decode(_ reply: RedisReply) throws(RedisError) -> RedisReply { reply }

    /// The argument in upper case, if it can be the name of a command or an option.
    private func word(_ position: Int) -> String? {
        guard position < arguments.count, (1...24).contains(arguments[position].byteCount) else { return nil }
        let text = arguments[position].plainText
        guard text.utf8.allSatisfy(RawCommandRules.isNameByte) else { return nil }
        return text.uppercased()
    }
}

// Arguments may contain secrets and payloads, so they are not printed.
extension RawCommand: CustomStringConvertible, CustomReflectable {
    /// The name of the command.
    public var description: String { name }

    /// The name, without the arguments.
    public var customMirror: Mirror { Mirror(self, children: ["name": name]) }
}

// MARK: - Blocking commands

extension RawCommand {
    private enum Blocking {
        case never, time(Duration), forEver, invalid

        init(milliseconds text: String?) {
            guard let text, let value = Int(text), value >= 0, .milliseconds(value) <= Duration.longestBlock else {
                self = .invalid
                return
            }
            self = value == 0 ? .forEver : .time(.milliseconds(value))
        }

        init(seconds text: String?) {
            guard let text, let value = Double(text), value >= 0, value <= 86_400 else {
                self = .invalid
                return
            }
            // Redis 6.2 cuts off fractions of a millisecond, and with the remaining 0 it waits for ever.
            self = value < 0.001 ? .forEver : .time(.seconds(value))
        }
    }

    private var blocking: Blocking {
        switch word(0) {
        case "XREAD": blockOption(from: 1)
        case "XREADGROUP": blockOption(from: 1)
        case "BLPOP", "BRPOP", "BRPOPLPUSH", "BLMOVE", "BZPOPMIN", "BZPOPMAX":
            Blocking(seconds: arguments.count > 1 ? arguments.last?.plainText : nil)
        case "BLMPOP", "BZMPOP": Blocking(seconds: arguments.count > 1 ? arguments[1].plainText : nil)
        case "WAIT", "WAITAOF": Blocking(milliseconds: arguments.count > 1 ? arguments.last?.plainText : nil)
        default: .never
        }
    }

    /// Parses the options as the server does, so that a group, a consumer or a stream may be called `BLOCK`.
    private func blockOption(from start: Int) -> Blocking {
        var position = start
        while let option = word(position) {
            switch option {
            case "STREAMS": return .never
            case "BLOCK":
                return Blocking(milliseconds: position + 1 < arguments.count ? arguments[position + 1].plainText : nil)
            case "GROUP": position += 3
            case "COUNT", "CLAIM", "MAXCOUNT", "MAXSIZE": position += 2
            default: position += 1
            }
        }
        return .never
    }
}

/// Facts about commands for which the library has no type.
private enum RawCommandRules {
    /// Commands whose second word is part of the name.
    static let containers: Set<String> = [
        "ACL", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "DEBUG", "FUNCTION", "LATENCY", "MEMORY", "MODULE", "OBJECT",
        "PUBSUB", "SCRIPT", "SENTINEL", "SLOWLOG", "XGROUP", "XINFO",
    ]

    private static let pushes =
        "the server would send replies that no command waits for, and the client would close the connection"
    private static let queues = "a transaction would include the commands of other callers who share the connection"
    private static let unanswered = "the server would omit replies, and later replies would go to the wrong commands"
    private static let debugs = "the next script would wait for a debugger, on a connection that other callers share"
    private static let selects =
        "it would change the connection for other callers who share it; set it in the configuration"

    /// Commands that would change the state of a shared connection, each with the reason for refusing it.
    static let refused: [String: String] = [
        "SUBSCRIBE": pushes, "PSUBSCRIBE": pushes, "SSUBSCRIBE": pushes, "UNSUBSCRIBE": pushes,
        "PUNSUBSCRIBE": pushes, "SUNSUBSCRIBE": pushes, "MONITOR": pushes, "SYNC": pushes, "PSYNC": pushes,
        "REPLCONF": unanswered, "CLUSTER SYNCSLOTS": unanswered, "SCRIPT DEBUG": debugs,
        "MULTI": queues, "EXEC": queues, "DISCARD": queues, "WATCH": queues, "UNWATCH": queues,
        "SELECT": selects, "AUTH": selects, "HELLO": selects, "RESET": selects, "QUIT": selects,
        "CLIENT REPLY": unanswered,
    ]

    static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}

extension FieldValue {
    fileprivate var plainText: String {
        switch self {
        case .text(let text): text
        case .bytes(let bytes): String(decoding: bytes, as: UTF8.self)
        }
    }
}
