import NIOCore
import NIOPosix
import Synchronization

/// A connection to a real server that returns its replies unchanged.
final class RawConnection: Sendable {
    private struct State {
        var received: [UInt8] = []
        var position = 0
        var replies: [RESPText] = []
        var isClosed = false
        var waiter: (count: Int, continuation: CheckedContinuation<Void, Never>)?

        var isServed: Bool { waiter.map { replies.count >= $0.count || isClosed } ?? false }
    }

    private let state = Mutex(State())
    private let channel = Mutex<(any Channel)?>(nil)

    init(port: Int) async throws {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(self))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        self.channel.withLock { $0 = channel }
    }

    deinit {
        channel.withLock { $0 }?.close(promise: nil)
    }

    func send(_ commands: [[String]]) {
        var bytes = ByteBuffer()
        for command in commands {
            bytes.writeString("*\(command.count)\r\n")
            for argument in command { bytes.writeString("$\(argument.utf8.count)\r\n\(argument)\r\n") }
        }
        channel.withLock { $0 }?.writeAndFlush(bytes, promise: nil)
    }

    /// The next replies; fewer if the server closes the connection before.
    func replies(_ count: Int) async -> [RESPText] {
        await withCheckedContinuation { continuation in
            let isServed = state.withLock { state in
                state.waiter = (count, continuation)
                guard state.isServed else { return false }
                state.waiter = nil
                return true
            }
            if isServed { continuation.resume() }
        }
        return state.withLock { state in
            let next = Array(state.replies.prefix(count))
            state.replies.removeFirst(next.count)
            return next
        }
    }

    /// Closes the connection after a time, so that nobody waits for a reply that never comes.
    func close(after limit: TimeAmount) {
        guard let channel = channel.withLock({ $0 }) else { return }
        channel.eventLoop.scheduleTask(in: limit) { channel.close(promise: nil) }
    }

    /// How many replies have arrived that ``replies(_:)`` has not returned yet.
    var replyCount: Int { state.withLock(\.replies.count) }

    /// Whether one side has closed the connection.
    var hasEnded: Bool { state.withLock(\.isClosed) }

    private func received(_ bytes: [UInt8]) {
        change { state in
            state.received += bytes
            while state.position < state.received.count,
                let reply = RESPText(state.received, &state.position)
            {
                state.replies.append(reply)
            }
            state.received.removeFirst(state.position)
            state.position = 0
        }
    }

    private func closed() {
        change { $0.isClosed = true }
    }

    private func change(_ body: (inout State) -> Void) {
        let continuation = state.withLock { state in
            body(&state)
            guard state.isServed else { return CheckedContinuation<Void, Never>?.none }
            defer { state.waiter = nil }
            return state.waiter?.continuation
        }
        continuation?.resume()
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let connection: RawConnection

        init(_ connection: RawConnection) {
            self.connection = connection
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            connection.received(Array(unwrapInboundIn(data).readableBytesView))
        }

        func channelInactive(context: ChannelHandlerContext) {
            connection.closed()
        }
    }
}
