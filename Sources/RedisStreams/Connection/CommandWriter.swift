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
        self.buffer = buffer
    }

    mutating func write(_ command: some RedisCommand) {
        // Handed over, not shared: else each command would copy all that stand before it.
        var outgoing = ByteBuffer()
        swap(&outgoing, &buffer)
        var encoder = CommandEncoder(appendingTo: consume outgoing)
        command.encode(into: &encoder)
        buffer = encoder.finish()
        commands.append(Written(name: command.name, blockingTime: command.blockingTime))
    }

    func finish() -> (ByteBuffer, [Written]) { (buffer, commands) }
}
