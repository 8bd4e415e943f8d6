internal import NIOCore
internal import RedisStreams
internal import Synchronization

/// The server's end of a connection that a client has opened on a ``FakeTransport``.
public final class FakeConnection: Sendable {
    private struct State: ~Copyable {
        var commands = AsyncQueue<[String]?>()
        var reader = RESPReader()
        var isClosed = false
        var isHandshake: Bool

        /// Removes the commands of the handshake, which ends with a `PING`. Returns the replies to them.
        mutating func takeHandshake(from commands: inout [[String]]) -> String {
            var replies = ""
            while isHandshake, let name = commands.first?.first {
                isHandshake = name != "PING"
                commands.removeFirst()
                replies += isHandshake ? "+OK\r\n" : "+PONG\r\n"
            }
            return replies
        }
    }

    /// The address from which every client connects.
    package static let clientAddress = "10.0.0.7:50123"

    private let state: Mutex<State>
    private let eventLoop: any EventLoop
    private let delegate: any ByteStreamDelegate

    init(eventLoop: any EventLoop, delegate: any ByteStreamDelegate, answersHandshake: Bool) {
        self.eventLoop = eventLoop
        self.delegate = delegate
        state = Mutex(State(isHandshake: answersHandshake))
    }

    var stream: any ByteStream { Stream(connection: self) }

    /// Waits for the next command of the client, and returns it with its arguments; `nil` once the client has closed
    /// the connection, or if the task is cancelled, as that of a test whose time limit is over.
    public func nextCommand() async -> [String]? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let command: [String]?? = state.withLock { state in
                    if Task.isCancelled { return .some(nil) }
                    if let command = state.commands.take(or: continuation) { return .some(command) }
                    return nil
                }
                if let command { continuation.resume(returning: command) }
            }
        } onCancel: {
            for waiter in state.withLock({ $0.commands.takeWaiters() }) { waiter.resume(returning: nil) }
        }
    }

    /// Sends text to the client: a reply, a part of one, or anything else.
    public func send(_ text: String) {
        send([UInt8](text.utf8))
    }

    /// Sends bytes to the client.
    public func send(_ bytes: [UInt8]) {
        eventLoop.execute { self.delegate.received(ByteBuffer(bytes: bytes)) }
    }

    /// Closes the connection, as a server does when it shuts down.
    public func close() {
        eventLoop.execute { self.delegate.ended(with: nil) }
    }

    // MARK: The client's side

    /// The client has sent bytes.
    private func received(_ bytes: ByteBuffer) {
        var commands: [[String]] = []
        let handshake = state.withLock { state in
            try? unsafe bytes.withUnsafeReadableBytes { bytes in
                unsafe try state.reader.read(bytes) { reply in
                    commands.append(reply.array.map { $0.map { $0.string ?? "" } } ?? [])
                }
            }
            return state.takeHandshake(from: &commands)
        }
        if !handshake.isEmpty { send(handshake) }
        for command in commands { deliver(command) }
    }

    private func deliver(_ command: [String]?) {
        state.withLock { $0.commands.put(command) }?.resume(returning: command)
    }

    private func closed() {
        let isFirst = state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        if isFirst { deliver(nil) }
    }

    private final class Stream: ByteStream {
        private let connection: FakeConnection

        init(connection: FakeConnection) {
            self.connection = connection
        }

        func write(_ bytes: ByteBuffer) { connection.received(bytes) }
        func close() { connection.closed() }
        var localAddress: String? { FakeConnection.clientAddress }
    }
}
