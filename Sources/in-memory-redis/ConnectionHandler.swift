import NIOCore
import RedisStreamsTesting

/// Passes the bytes of one socket to the server, and the server's bytes back.
final class ConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private struct Peer: RedisPeer {
        let channel: any Channel

        func received(_ bytes: ByteBuffer) { channel.writeAndFlush(bytes, promise: nil) }
        func ended() { channel.close(promise: nil) }
    }

    private let host: RedisHost
    private var connection: RedisModel.ConnectionID?

    init(_ host: RedisHost) {
        self.host = host
    }

    func channelActive(context: ChannelHandlerContext) {
        connection = host.connect(Peer(channel: context.channel))
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if let connection { host.received(unwrapInboundIn(data), from: connection) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if let connection { host.closed(connection) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
