internal import Logging
package import NIOCore
internal import NIOPosix
internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// TCP, TLS and Unix sockets through SwiftNIO.
package struct SocketTransport: Transport {
    private let tlsContexts = TLSContextCache()

    package init() {}

    package var leaseClock: LeaseClock { .sinceBoot }

    package func connect(
        _ configuration: RedisConnection.Configuration,
        on eventLoop: any EventLoop,
        delegate: any ByteStreamDelegate
    ) async throws(RedisError) -> any ByteStream {
        let securing = try configuration.tls.map { tls throws(RedisError) in
            try TLSHandlerFactory(tls, address: configuration.address, contexts: tlsContexts)
        }
        let encryption = configuration.tls.map { Encryption(hasClientCertificate: $0.clientCertificate != nil) }
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(TimeAmount(configuration.connectTimeout))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let securing { try securing.addHandler(to: channel) }
                    try channel.pipeline.syncOperations.addHandler(SocketHandler(delegate: delegate, encryption))
                }
            }
        do {
            switch configuration.address {
            case .tcp(let host, let port):
                // The options are set before connecting: a socket that the peer ends at once has no options any more.
                return Socket(
                    channel: try await Self.options(configuration, on: bootstrap).connect(host: host, port: port).get(),
                    encryption
                )
            case .unixSocket(let path):
                return Socket(channel: try await bootstrap.connect(unixDomainSocketPath: path).get(), encryption)
            }
        } catch {
            throw RedisError(connecting: error, to: configuration.address)
        }
    }

    /// Socket options by which the kernel finds out that the peer is gone, also while nothing is sent.
    private static func options(
        _ configuration: RedisConnection.Configuration,
        on bootstrap: ClientBootstrap
    ) -> ClientBootstrap {
        let idle = max(1, configuration.keepAliveInterval.wholeMilliseconds / 1000)
        let bootstrap =
            bootstrap
            // A reply mostly comes in one piece. A second read at once would cost a system call with each.
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelOption(.tcpOption(.init(rawValue: TCP_KEEPINTVL)), value: max(1, idle / 3))
            .channelOption(.tcpOption(.init(rawValue: TCP_KEEPCNT)), value: 3)
        #if os(Linux)
        let unacknowledged = configuration.unacknowledgedTimeout.wholeMilliseconds
        return
            bootstrap
            .channelOption(.tcpOption(.init(rawValue: TCP_KEEPIDLE)), value: idle)
            .channelOption(.tcpOption(.init(rawValue: TCP_USER_TIMEOUT)), value: unacknowledged)
        #else
        return bootstrap
        #endif
    }
}

/// The TLS of one socket.
private final class Encryption: Sendable {
    let hasClientCertificate: Bool
    let isAgreedOn = Atomic(false)

    init(hasClientCertificate: Bool) {
        self.hasClientCertificate = hasClientCertificate
    }
}

/// A connected socket. Its methods are called on the event loop.
private final class Socket: ByteStream {
    private let channel: any Channel
    private let encryption: Encryption?
    private let unsent = Atomic(0)
    let localAddress: String?

    init(channel: any Channel, _ encryption: Encryption?) {
        self.channel = channel
        self.encryption = encryption
        localAddress = channel.localAddress.flatMap { address in
            guard let host = address.ipAddress, let port = address.port else { return nil }
            return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        }
    }

    func write(_ bytes: ByteBuffer) {
        let count = bytes.readableBytes
        // Small writes need no count: a channel that is writable holds no more than its water mark.
        if count <= Self.smallCount, channel.isWritable {
            channel.writeAndFlush(bytes, promise: nil)
            return
        }
        unsent.add(count, ordering: .relaxed)
        channel.writeAndFlush(bytes).whenComplete { [self] _ in unsent.subtract(count, ordering: .relaxed) }
    }

    private static let smallCount = 16 << 10

    var isEncrypted: Bool? { encryption?.isAgreedOn.load(ordering: .relaxed) }

    var unsentBytes: Int { unsent.load(ordering: .relaxed) }

    func close() {
        channel.close(mode: .all, promise: nil)
    }
}

/// Passes bytes and the end of the socket to the connection.
private final class SocketHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let delegate: any ByteStreamDelegate
    private let encryption: Encryption?
    private var failure: RedisError?

    init(delegate: any ByteStreamDelegate, _ encryption: Encryption?) {
        self.delegate = delegate
        self.encryption = encryption
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        delegate.received(unwrapInboundIn(data))
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // Beside those of the channel, the first event of such a pipeline is that both sides have agreed on TLS.
        if !(event is ChannelEvent) { encryption?.isAgreedOn.store(true, ordering: .relaxed) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        failure =
            failure
            ?? RedisError(
                duringConnection: error,
                peer: TLSHandlerFactory.peer(in: context.pipeline),
                hasClientCertificate: encryption?.hasClientCertificate ?? false
            )
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        delegate.ended(with: failure)
    }
}
