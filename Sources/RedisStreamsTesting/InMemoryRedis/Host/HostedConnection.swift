internal import NIOCore
internal import RedisStreams

/// A connection at the server's end. Its ``RedisHost`` guards it.
final class HostedConnection {
    enum State {
        case open
        /// Nobody hears what is said, on either side, and nobody notices: the network has gone.
        case dead
        case closed
    }

    /// What is to be done for a command, in its turn.
    enum Action {
        case execute([Bytes])
        case refuse([Bytes], String)
        case close
        case die
        case executeAndDie([Bytes])
        case executeAndClose([Bytes])
    }

    let peer: any RedisPeer
    var state = State.open
    private var reader = RESPReader()
    private var held: [(action: Action, until: Int?)] = []

    init(peer: any RedisPeer) {
        self.peer = peer
    }

    /// The commands that are whole now, and whether the client speaks anything but RESP.
    func read(_ bytes: ByteBuffer) -> (commands: [[Bytes]], isBroken: Bool) {
        var commands: [[Bytes]] = []
        var isBroken = false
        do throws(RedisError) {
            let result: Result<Void, RedisError> = unsafe bytes.withUnsafeReadableBytes { raw in
                Result { () throws(RedisError) in
                    unsafe try reader.read(raw) { reply in
                        let arguments = reply.array.map { $0.map { $0.bytes ?? [] } } ?? []
                        if !arguments.isEmpty { commands.append(arguments) }
                        if reply.array == nil { isBroken = true }
                    }
                }
            }
            try result.get()
        } catch {
            isBroken = true
        }
        return (commands, isBroken)
    }

    // MARK: Delays

    var isHolding: Bool { !held.isEmpty }

    /// When the first of what is held is due, in milliseconds by the monotonic clock.
    var heldUntil: Int? { held.first?.until }

    /// Keeps something back, and with it all that comes after it.
    func hold(_ action: Action, until: Int?) {
        held.append((action, until))
    }

    /// Takes what is due: the first, and what came behind it, up to the next that is to wait.
    func takeHeld() -> [Action] {
        guard !held.isEmpty else { return [] }
        let end = held.dropFirst().firstIndex { $0.until != nil } ?? held.endIndex
        let due = held[..<end].map(\.action)
        held.removeFirst(end)
        return due
    }
}
