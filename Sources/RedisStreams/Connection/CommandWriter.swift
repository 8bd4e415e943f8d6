internal import NIOCore

/// Commands that leave together, written one behind the other into the outgoing buffer.
struct CommandWriter {
    /// What the connection has to know of a command once its bytes are written.
    struct Written {
        let name: String
        let blockingTime: Duration?
    }

    private var buffer: ByteBuffer
    private var commands: [Written] = []

    init(buffer: consuming ByteBuffer) {
        self.buffer = consume buffer
    }

    mutating func write(_ command: some RedisCommand) {
        // Taken out first: with two references to it, the encoder's first byte would copy all that was written so far.
        var taken = ByteBuffer()
        swap(&taken, &buffer)
        var encoder = CommandEncoder(appendingTo: consume taken)
        command.encode(into: &encoder)
        buffer = encoder.finish()
        commands.append(Written(name: command.name, blockingTime: command.blockingTime))
    }

    func finish() -> (ByteBuffer, [Written]) { (buffer, commands) }
}
