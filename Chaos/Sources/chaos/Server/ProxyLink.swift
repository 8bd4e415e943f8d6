import NIOCore
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A connection through the proxy: a channel to the client and one to the server, on the same event loop.
final class ProxyLink: Sendable {
    private let client: any Channel
    private let server: any Channel
    private let isCut = Mutex(false)
    private let dropsNext = Mutex(false)
    private let delay: TimeAmount

    /// - Parameter delay: How long bytes are delayed in each direction.
    init(client: any Channel, server: any Channel, delay: TimeAmount) {
        (self.client, self.server, self.delay) = (client, server, delay)
    }

    /// Whether the client side is gone and the server side is still open.
    var isStale: Bool { isCut.withLock { $0 } }

    /// Drops the next bytes that the server sends.
    func dropNext() { dropsNext.withLock { $0 = true } }

    /// Forwards the bytes of both sides. To be called on the event loop.
    func relay() throws {
        try client.pipeline.syncOperations.addHandler(Relay(to: server, delay) { false })
        try server.pipeline.syncOperations.addHandler(Relay(to: client, delay) { self.dropsNow() })
        for channel in [client, server] {
            channel.setOption(.autoRead, value: true).whenFailure { _ in channel.close(promise: nil) }
        }
    }

    private func dropsNow() -> Bool {
        dropsNext.withLock { drops in
            defer { drops = false }
            return drops
        }
    }

    /// Ends both sides with an RST.
    func reset() {
        for channel in [client, server] { Self.reset(channel) }
    }

    /// Ends the client side with an RST. The proxy drops what the server sends from then on.
    func cutClient() {
        isCut.withLock { $0 = true }
        Self.reset(client)
    }

    private static func reset(_ channel: any Channel) {
        guard let options = channel as? any SocketOptionProvider else { return channel.close(promise: nil) }
        options.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenComplete { _ in channel.close(promise: nil) }
    }
}

/// Forwards the bytes of one side to the other.
private final class Relay: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let peer: any Channel
    private let delay: TimeAmount
    private let drops: () -> Bool

    init(to peer: any Channel, _ delay: TimeAmount, droppingIf drops: @escaping () -> Bool) {
        (self.peer, self.delay, self.drops) = (peer, delay, drops)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if drops() { return }
        let (peer, bytes) = (peer, unwrapInboundIn(data))
        // A write to a closed side fails, and its bytes are dropped.
        if delay == .zero { return peer.writeAndFlush(bytes, promise: nil) }
        context.eventLoop.scheduleTask(in: delay) { peer.writeAndFlush(bytes, promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
