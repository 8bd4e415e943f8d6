internal import NIOCore

/// Commands that leave together, written one behind the other.
struct CommandWriter {
    /// What the connection has to know of a command once its bytes are written.
    struct Written {
        let name: String
        let blockingTime: Duration?
    }

    /// How many bytes may leave together: as many as a single argument may have by the server's default.
    static let maxBytes = 512 << 20

    private var buffer: ByteBuffer
    private let maxBytes: Int
    private var commands: [Written] = []
    /// Why none of the commands may be sent.
    private(set) var invalid: RedisError?

    init(buffer: consuming ByteBuffer = ByteBuffer(), maxBytes: Int = Self.maxBytes) {
        self.buffer = buffer
        self.maxBytes = maxBytes
    }

    mutating func write(_ command: some RedisCommand) {
        commands.append(Written(name: command.name, blockingTime: command.blockingTime))
        if invalid != nil { return }
        // Handed over, not shared: else each command would copy all that stand before it.
        var outgoing = ByteBuffer()
        swap(&outgoing, &buffer)
        do throws(RedisError) {
            buffer = try command.encoded(behind: outgoing, maxBytes: maxBytes)
        } catch {
            invalid = error
        }
    }

    /// The buffer with the commands, and what they are.
    consuming func finish() -> (ByteBuffer, [Written]) { (buffer, commands) }
}

extension RedisCommand {
    /// `buffer` with the command behind what is in it.
    ///
    /// - Throws: ``RedisError``: the command is too long, or writes nothing.
    func encoded(
        behind buffer: consuming ByteBuffer = ByteBuffer(),
        maxBytes: Int = CommandWriter.maxBytes
    ) throws(RedisError) -> ByteBuffer {
        var encoder = CommandEncoder(appendingTo: buffer, room: maxBytes - buffer.readableBytes)
        encode(into: &encoder)
        if encoder.isTooLong {
            throw invalid("What is sent together must not exceed \(maxBytes) bytes: send less at once.")
        }
        if encoder.isEmpty {
            throw invalid("The command writes nothing: its name, and its arguments, have to be encoded.")
        }
        return encoder.finish()
    }
}
