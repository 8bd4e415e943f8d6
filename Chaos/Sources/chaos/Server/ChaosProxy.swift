import ChaosWork
import NIOCore
import NIOPosix
import Synchronization

/// A TCP proxy in front of a server. It breaks connections on request or after a random time, and can lead new ones to
/// another server.
final class ChaosProxy: Sendable {
    private struct State {
        var links: [Int: ProxyLink] = [:]
        var count = 0
        var resets = 0
        var random: SeededGenerator
        /// The port of the server that new connections lead to.
        var upstream: Int
    }

    let port: Int
    private let lifetime: ClosedRange<Int64>?
    private let delay: TimeAmount
    private let state: Mutex<State>

    private init(upstream: Int, lifetime: ClosedRange<Int64>?, delay: TimeAmount, seed: UInt64) async throws {
        (self.lifetime, self.delay) = (lifetime, delay)
        state = Mutex(State(random: SeededGenerator(seed: seed), upstream: upstream))
        port = try await FreePort.find()
    }

    /// Runs `body` with a proxy.
    ///
    /// - Parameters:
    ///   - upstream: The port of the server.
    ///   - lifetime: After how many milliseconds each connection is reset; `nil` for never.
    ///   - delay: How long bytes are delayed in each direction.
    static func with<Result>(
        to upstream: Int,
        lifetime: ClosedRange<Int64>? = nil,
        delay: TimeAmount = .zero,
        seed: UInt64,
        _ body: (ChaosProxy) async throws -> Result
    ) async throws -> Result {
        let proxy = try await ChaosProxy(upstream: upstream, lifetime: lifetime, delay: delay, seed: seed)
        let channel = try await proxy.listen()
        do {
            let result = try await body(proxy)
            try await channel.close()
            proxy.resetAll()
            return result
        } catch {
            try? await channel.close()
            proxy.resetAll()
            throw error
        }
    }

    private func listen() async throws -> any Channel {
        try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { client in self.accept(client) }
            .bind(host: "127.0.0.1", port: port).get()
    }

    private func accept(_ client: any Channel) -> EventLoopFuture<Void> {
        client.eventLoop.makeCompletedFuture {
            try client.pipeline.syncOperations.addHandler(WhenActive { self.connect(client) })
        }
    }

    private func connect(_ client: any Channel) {
        ClientBootstrap(group: client.eventLoop)
            .channelOption(.autoRead, value: false)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .connect(host: "127.0.0.1", port: state.withLock { $0.upstream })
            .whenComplete { result in
                switch result {
                case .success(let server): self.connect(client, server)
                case .failure: client.close(promise: nil)
                }
            }
    }

    private func connect(_ client: any Channel, _ server: any Channel) {
        let link = ProxyLink(client: client, server: server, delay: delay)
        let (number, lifetime) = register(link)
        client.closeFuture.whenComplete { _ in self.closed(number, server) }
        server.closeFuture.whenComplete { _ in client.close(promise: nil) }
        do {
            try link.relay()
        } catch {
            client.close(promise: nil)
        }
        guard let lifetime else { return }
        client.eventLoop.scheduleTask(in: .milliseconds(lifetime)) {
            if client.isActive { self.state.withLock { $0.resets += 1 } }
            link.reset()
        }
    }

    /// Returns the number of the connection, and after how many milliseconds it is reset.
    private func register(_ link: ProxyLink) -> (Int, Int64?) {
        state.withLock { state -> (Int, Int64?) in
            state.count += 1
            state.links[state.count] = link
            guard let lifetime else { return (state.count, nil) }
            return (state.count, Int64.random(in: lifetime, using: &state.random))
        }
    }

    private func closed(_ number: Int, _ server: any Channel) {
        let link = state.withLock { $0.links[number] }
        if link?.isStale == true { return }
        state.withLock { $0.links[number] = nil }
        server.close(promise: nil)
    }

    /// How many connections were reset at the end of their lifetime.
    var resets: Int { state.withLock { $0.resets } }

    /// How many connections there were.
    var connections: Int { state.withLock { $0.count } }

    /// Makes new connections lead to the server at another port. Existing connections stay with the old one.
    func move(to port: Int) { state.withLock { $0.upstream = port } }

    /// Drops the next bytes that the server sends on one of the connections.
    func dropReply() {
        state.withLock { $0.links.values.randomElement() }?.dropNext()
    }

    /// Resets all connections, towards both sides.
    func resetAll() {
        let links = state.withLock { state in
            defer { state.links = [:] }
            return state.links.values
        }
        for link in links { link.reset() }
    }

    /// Resets the client side of all connections and keeps the server side open, as when the network fails. Returns the
    /// number of connections.
    func cutClients() -> Int {
        let links = state.withLock { $0.links.values.filter { !$0.isStale } }
        for link in links { link.cutClient() }
        return links.count
    }
}

/// Runs a closure once the channel is active: before that, it cannot start to read.
private final class WhenActive: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let body: () -> Void

    init(_ body: @escaping () -> Void) {
        self.body = body
    }

    func channelActive(context: ChannelHandlerContext) {
        body()
        context.fireChannelActive()
    }
}
