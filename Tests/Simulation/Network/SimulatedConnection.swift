import NIOCore
import RedisStreams

/// A connection between a client and the server.
///
// SAFETY: there is one thread.
final class SimulatedConnection: ByteStream, @unchecked Sendable {
    let number: Int
    let node: Node
    private let network: SimulatedNetwork
    private var delegate: (any ByteStreamDelegate)?
    private var toServer: Pipe!
    private var toClient: Pipe!
    /// The server sets it when it accepts the connection.
    var localAddress: String?
    private(set) var isOpenAtClient = true
    private(set) var isOpenAtServer = true
    /// After how many more replies the connection breaks: the server has then executed a command whose reply is lost.
    var breaksBeforeReply: Int?
    /// Whether all bytes are dropped without notifying either side, as by a router that has forgotten the connection.
    private(set) var isBlackHole = false

    init(number: Int, node: Node, network: SimulatedNetwork, delegate: any ByteStreamDelegate) {
        self.number = number
        self.node = node
        self.network = network
        self.delegate = delegate
        // Bytes may be on their way to a connection that both sides have closed and forgotten.
        toServer = Pipe(
            network,
            receive: { [weak self] in self?.arrivedAtServer($0, sent: $1) },
            end: { [weak self] in self?.endAtServer() }
        )
        toClient = Pipe(
            network,
            receive: { [weak self] bytes, _ in self?.arrivedAtClient(bytes) },
            end: { [weak self] in self?.endAtClient() }
        )
    }

    var isOpen: Bool { isOpenAtClient || isOpenAtServer }

    var isHeld = false {
        didSet {
            toServer.isHeld = isHeld
            toClient.isHeld = isHeld
        }
    }

    // MARK: The client's side

    func write(_ bytes: ByteBuffer) {
        guard node.isAlive, isOpenAtClient else { return }
        toServer.send(bytes, latency: network.latency(of: node))
    }

    func close() {
        guard isOpenAtClient, !network.leaks else { return }
        network.trace.record("client", number, "\(node.name)#\(number) closes the connection")
        isOpenAtClient = false
        delegate = nil
        toClient.kill()
        toServer.end(latency: network.latency(of: node))
    }

    private func arrivedAtClient(_ bytes: ByteBuffer) {
        guard isOpenAtClient else { return }
        node.process.execute { [self] in delegate?.received(bytes) }
    }

    private func endAtClient() {
        guard isOpenAtClient else { return }
        isOpenAtClient = false
        node.process.execute { [self] in
            delegate?.ended(with: nil)
            delegate = nil
        }
    }

    // MARK: The server's side

    /// The server sends bytes.
    func reply(_ bytes: ByteBuffer) {
        guard isOpenAtServer else { return }
        if let count = breaksBeforeReply {
            breaksBeforeReply = count - 1
            if count <= 0 {
                network.trace.record("fault", number, "a reply to \(node.name)#\(number) and its connection are lost")
                network.fired(.lostReply, at: node)
                return reset()
            }
        }
        toClient.send(bytes, latency: network.latency(of: node))
    }

    /// The server ends the connection.
    func closeByServer() {
        guard isOpenAtServer else { return }
        isOpenAtServer = false
        toServer.kill()
        toClient.end(latency: network.latency(of: node))
        network.server.closed(number)
        network.forgetIfClosed(self)
    }

    private func arrivedAtServer(_ bytes: ByteBuffer, sent: VirtualTime) {
        guard isOpenAtServer else { return }
        network.server.received(bytes, sent: sent, on: number)
    }

    private func endAtServer() {
        guard isOpenAtServer else { return }
        isOpenAtServer = false
        network.server.closed(number)
        network.forgetIfClosed(self)
    }

    // MARK: Faults

    /// Breaks the connection: both sides are notified, and the bytes on their way are lost.
    func reset() {
        toServer.kill()
        toClient.kill()
        endAtServer()
        endAtClient()
        network.forgetIfClosed(self)
    }

    /// Drops the bytes on their way and all that are sent from now on, without notifying the client. The server notices
    /// after `time`.
    func becomeBlackHole(serverNoticesAfter time: VirtualTime) {
        isBlackHole = true
        toServer.kill()
        toClient.kill()
        network.scheduler.after(time) { [self] in endAtServer() }
    }
}
