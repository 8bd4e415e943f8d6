internal import NIOCore

/// Encodes commands that the connection sends in one piece, one behind the other.
struct CommandWriter {
    /// The facts about a command that the connection needs beside its bytes.
    struct Written {
        let name: String
        let blockingTime: Duration?
        /// Whether it is the `ASKING` before another command: nobody waits for its reply.
        var isAsking = false
    }

    /// The most bytes of one piece: as many as a server accepts in a single argument by default.
    static let maxBytes = 512 << 20

    private var buffer = ByteBuffer()
    private let maxBytes: Int
    private var commands: [Written] = []
    /// Why the connection may send none of the commands.
    private(set) var invalid: RedisError?

    /// Whether `ASKING` goes before each command with keys, and before a transaction as a whole. A raw command may have keys
    /// that the library does not know of.
    private let asks: Bool
    private var isInTransaction = false

    init(maxBytes: Int = Self.maxBytes, asks: Bool = false) {
        self.maxBytes = maxBytes
        self.asks = asks
    }

    mutating func write(_ command: some RedisCommand) {
        if asks { writeAsking(before: command) }
        commands.append(Written(name: command.name, blockingTime: command.blockingTime))
        append(command)
    }

    private mutating func writeAsking(before command: some RedisCommand) {
        if isInTransaction {
            isInTransaction = command.name != "EXEC"
            return
        }
        isInTransaction = command.name == "MULTI"
        guard isInTransaction || !command.keys.isEmpty || command is RawCommand else { return }
        commands.append(Written(name: ASKING.name, blockingTime: nil, isAsking: true))
        append(ASKING())
    }

    private mutating func append(_ command: some RedisCommand) {
        if invalid != nil { return }
        do throws(RedisError) {
            let encoder = try command.encoded(maxBytes: maxBytes - buffer.readableBytes)
            unsafe encoder.withBytes { _ = unsafe buffer.writeBytes($0) }
        } catch {
            invalid = error
        }
    }

    /// The bytes of all commands, and the facts about each.
    consuming func finish() -> (ByteBuffer, [Written]) { (buffer, commands) }
}

extension RedisCommand {
    /// The command in bytes.
    ///
    /// - Throws: ``RedisError``: the command is too long, or writes nothing.
    func encoded(maxBytes: Int = CommandWriter.maxBytes) throws(RedisError) -> CommandEncoder {
        var encoder = CommandEncoder(room: maxBytes)
        encode(into: &encoder)
        if encoder.isTooLong {
            throw invalid("What is sent together must not exceed \(CommandWriter.maxBytes) bytes: send less at once.")
        }
        if encoder.isEmpty {
            throw invalid("The command writes nothing: its name, and its arguments, have to be encoded.")
        }
        return encoder
    }
}
