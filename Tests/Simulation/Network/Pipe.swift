import DequeModule
import NIOCore

/// One direction of a connection: bytes arrive in order, each piece some time after it was sent.
///
// SAFETY: there is one thread.
final class Pipe: @unchecked Sendable {
    private enum Piece {
        case bytes(ByteBuffer, sent: VirtualTime)
        case end
    }

    private let network: SimulatedNetwork
    private var pieces = Deque<(time: VirtualTime, piece: Piece)>()
    private var lastTime = VirtualTime.zero
    private var timer: Scheduler.Timer?
    private let receive: (ByteBuffer, _ sent: VirtualTime) -> Void
    private let receiveEnd: () -> Void
    /// While this is set, nothing arrives. The bytes arrive once it is cleared.
    var isHeld = false {
        didSet { if !isHeld { pump() } }
    }
    /// Whether the pipe drops all bytes, without notifying either side.
    private(set) var isDead = false

    init(
        _ network: SimulatedNetwork,
        receive: @escaping (ByteBuffer, _ sent: VirtualTime) -> Void,
        end: @escaping () -> Void
    ) {
        self.network = network
        self.receive = receive
        receiveEnd = end
    }

    func send(_ bytes: ByteBuffer, latency: VirtualTime) {
        append(.bytes(bytes, sent: network.scheduler.now), latency)
    }

    /// Closes this direction. Bytes that were sent before still arrive.
    func end(latency: VirtualTime) {
        append(.end, latency)
    }

    /// Drops the bytes that are on their way, and all that are sent later.
    func kill() {
        isDead = true
        pieces = []
        timer?.cancel()
    }

    private func append(_ piece: Piece, _ latency: VirtualTime) {
        guard !isDead else { return }
        lastTime = max(lastTime, network.scheduler.now + latency)
        pieces.append((lastTime, piece))
        if pieces.count == 1 { pump() }
    }

    private func pump() {
        timer?.cancel()
        while !isHeld, !isDead, let (time, piece) = pieces.first {
            if time > network.scheduler.now {
                timer = network.scheduler.at(time, in: network.scheduler.outside) { self.pump() }
                return
            }
            pieces.removeFirst()
            switch piece {
            case .bytes(let bytes, let sent): deliver(bytes, sent)
            case .end: receiveEnd()
            }
        }
    }

    /// Delivers the bytes whole or in two parts: a parser has to accept both.
    private func deliver(_ bytes: ByteBuffer, _ sent: VirtualTime) {
        var bytes = bytes
        let count = bytes.readableBytes
        if count > 1, network.random.oneIn(8) {
            let first = bytes.readSlice(length: network.random.int(1...count - 1))
            if let first { receive(first, sent) }
        }
        receive(bytes, sent)
    }
}
