import NIOCore
import NIOPosix
import RedisStreams
import Testing

/// A server that listens on a port and is no Redis server.
struct ScriptedPeer: Sendable {
    /// What the peer does with a connection.
    enum Behaviour: Sendable {
        /// Sends these bytes as soon as a client connects.
        case greets(String)
        /// Answers the first bytes that arrive with these, and ignores the rest.
        case answers(String)
        /// Answers the first bytes that arrive with these, and closes the connection.
        case answersAndCloses(String)
        /// Answers the handshake (`CLIENT ID`, `PING`) like Redis, and everything else with these bytes.
        case answersAfterHandshake(String, closes: Bool)
    }

    let port: Int

    var configuration: RedisClient.Configuration {
        var configuration = RedisClient.Configuration(address: .tcp(host: "127.0.0.1", port: port))
        configuration.connection.connectTimeout = .milliseconds(250)
        configuration.connection.commandTimeout = .milliseconds(300)
        configuration.acquireTimeout = .milliseconds(600)
        return configuration
    }

    /// Listens while `body` runs.
    static func with<Result>(
        _ behaviour: Behaviour,
        _ body: (ScriptedPeer) async throws -> Result
    ) async throws -> Result {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(behaviour))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(channel.localAddress?.port)
        do {
            let result = try await body(ScriptedPeer(port: port))
            try await channel.close()
            return result
        } catch {
            try? await channel.close()
            throw error
        }
    }

    /// Listens while `body` runs, and accepts no connection: the kernel answers no more attempts to connect.
    static func withBlackHole<Result>(_ body: (ScriptedPeer) async throws -> Result) async throws -> Result {
        let group = MultiThreadedEventLoopGroup.singleton
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1)
            .serverChannelOption(.autoRead, value: false)
            .bind(host: "127.0.0.1", port: 0).get()
        let address = try #require(channel.localAddress)
        var fillers: [any Channel] = []
        // Fills the queue of the kernel, until it no longer answers an attempt.
        while fillers.count < 16,
            let filler = try? await ClientBootstrap(group: group).connectTimeout(.milliseconds(200))
                .connect(to: address).get()
        {
            fillers.append(filler)
        }
        do {
            let result = try await body(ScriptedPeer(port: #require(address.port)))
            for open in fillers + [channel] { try await open.close() }
            return result
        } catch {
            for open in fillers + [channel] { try? await open.close() }
            throw error
        }
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let behaviour: Behaviour
        private var reads = 0

        init(_ behaviour: Behaviour) {
            self.behaviour = behaviour
        }

        func channelActive(context: ChannelHandlerContext) {
            if case .greets(let text) = behaviour { write(text, context) }
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            reads += 1
            switch behaviour {
            case .greets: break
            case .answers(let text): if reads == 1 { write(text, context) }
            case .answersAndCloses(let text): if reads == 1 { write(text, context, closes: true) }
            case .answersAfterHandshake(let text, let closes):
                if reads == 1 { write(":1\r\n+PONG\r\n", context) }
                if reads >= 2 { write(text, context, closes: closes) }
            }
        }

        private func write(_ text: String, _ context: ChannelHandlerContext, closes: Bool = false) {
            let written = context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)))
            if closes {
                let context = NIOLoopBound(context, eventLoop: context.eventLoop)
                written.whenComplete { _ in context.value.close(promise: nil) }
            }
        }
    }
}
