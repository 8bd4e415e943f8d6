internal import NIOCore

/// Commands that leave together, written one behind the other into the outgoing buffer.
struct CommandWriter {
    /// What the connection has to know of a command once its bytes are written.
    struct Written {
        let name: String
        let blockingTime: Duration?
    }

    /// How many bytes may leave together: as many as a single argument may have by the server's default.
    static let maxBytes = 512 << 20

    private var buffer: ByteBuffer
    private let start: Int
    private let maxBytes: Int
    private var commands: [Written] = []
    /// Why none of the commands may be sent.
    private(set) var invalid: RedisError?

    init(buffer: consuming ByteBuffer, maxBytes: Int = Self.maxBytes) {
        start = buffer.writerIndex
        self.buffer = buffer
        self.maxBytes = maxBytes
    }

    /// How many bytes were in the buffer before.
    var byteCountBefore: Int { buffer.readableBytes - byteCount }

    /// How many bytes were written.
    var byteCount: Int { buffer.writerIndex - start }

    mutating func write(_ command: some RedisCommand) {
        commands.append(Written(name: command.name, blockingTime: command.blockingTime))
        if invalid != nil { return }
        let room = maxBytes - byteCount
        // Handed over, not shared: else each command would copy all that stand before it.
        var outgoing = ByteBuffer()
        swap(&outgoing, &buffer)
        var encoder = CommandEncoder(appendingTo: consume outgoing, room: room)
        command.encode(into: &encoder)
        if encoder.isTooLong {
            invalid = command.invalid("What is sent together must not exceed \(maxBytes) bytes: send less at once.")
        } else if encoder.isEmpty {
            invalid = command.invalid("The command writes nothing: its name, and its arguments, have to be encoded.")
        }
        buffer = encoder.finish()
    }

    /// The buffer with the commands, and what they are.
    func finish() -> (ByteBuffer, [Written]) { (buffer, commands) }

    /// Takes everything back that was written.
    mutating func discard() {
        buffer.moveWriterIndex(to: start)
    }
}
