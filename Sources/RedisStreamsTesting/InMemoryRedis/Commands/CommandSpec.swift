/// A command of the server: its name, the number of its arguments, and its handler.
struct CommandSpec: Sendable {
    struct Flags: OptionSet, Sendable {
        let rawValue: Int

        /// The server executes the command also between `MULTI` and `EXEC` instead of queueing it.
        static let notQueued = Flags(rawValue: 1)
        /// The command is allowed before `AUTH`.
        static let beforeLogin = Flags(rawValue: 2)
        /// Only Redis 8.2 has the command.
        static let onlyRedis8_2 = Flags(rawValue: 4)
        /// Redis 6.2 accepts no options.
        static let optionsSince7_0 = Flags(rawValue: 8)
        /// Redis 6.2 and 7.0 do not have the command.
        static let since7_2 = Flags(rawValue: 16)
    }

    typealias Handler = @Sendable (RedisModel, Call) throws(ReplyError) -> Void

    /// The name in lower case.
    let name: String
    /// The number of arguments, including the name; a negative number is a minimum.
    let arity: Int
    var flags: Flags
    /// The subcommands, each with its arity.
    var subcommands: [String: Int]
    let handler: Handler

    init(
        _ name: String,
        _ arity: Int,
        _ flags: Flags = [],
        subcommands: [String: Int] = [:],
        _ handler: @escaping Handler
    ) {
        self.name = name
        self.arity = arity
        self.flags = flags
        self.subcommands = subcommands
        self.handler = handler
    }

    func isKnown(to version: InMemoryRedis.Version) -> Bool {
        if flags.contains(.since7_2), !version.isAtLeast7_2 { return false }
        return !flags.contains(.onlyRedis8_2) || version == .redis8_2
    }

    /// Returns the error for a wrong number of arguments, or for an unknown subcommand.
    func arityError(_ command: [Bytes], _ version: InMemoryRedis.Version) -> ReplyError? {
        let isPlain = flags.contains(.optionsSince7_0) && !version.isAtLeast7_0
        if !Self.fits(command.count, isPlain ? -arity : arity) { return .arity(name) }
        guard !subcommands.isEmpty, version.isAtLeast7_0 else { return nil }
        let word = command[1].uppercase.text
        guard let arity = subcommands[word] else { return unknownSubcommand(command[1]) }
        return Self.fits(command.count, arity) ? nil : .arity("\(name)|\(word.lowercased())")
    }

    /// The error for an unknown subcommand.
    func unknownSubcommand(_ word: Bytes) -> ReplyError {
        let advice = "'. Try \(name.uppercased()) HELP."
        return ReplyError(Bytes("ERR unknown subcommand '"), Array(word.prefix(128)), Bytes(advice))
    }

    private static func fits(_ count: Int, _ arity: Int) -> Bool {
        arity >= 0 ? count == arity : count >= -arity
    }
}

extension RedisModel {
    /// The error for a subcommand with wrong arguments.
    func subcommandSyntax(_ call: Call) -> ReplyError {
        let word = version == .redis6_2 ? "Unknown" : "unknown"
        return ReplyError(
            Bytes("ERR \(word) subcommand or wrong number of arguments for '"),
            Array(call[1].prefix(128)),
            Bytes("'. Try \(call[0].uppercase.text) HELP.")
        )
    }
}
