internal import NIOCore

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
        /// Something that is no command is answered with this error, and the connection closed.
        case refuseAndClose(String)
        case die
        case executeAndDie([Bytes])
        case executeAndClose([Bytes])
    }

    let peer: any RedisPeer
    var state = State.open
    private var reader: RequestReader
    private var held: [(action: Action, until: Int?)] = []

    init(peer: any RedisPeer, version: InMemoryRedis.Version) {
        self.peer = peer
        reader = RequestReader(version)
    }

    /// The commands that are whole now, and what is wrong with what comes behind them.
    func read(_ bytes: ByteBuffer) -> (commands: [[Bytes]], failure: RequestReader.Failure?) {
        reader.feed(bytes.readableBytesView)
        var commands: [[Bytes]] = []
        do throws(RequestReader.Failure) {
            while let command = try reader.next() { commands.append(command) }
            return (commands, nil)
        } catch {
            return (commands, error)
        }
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

extension RequestReader.Failure {
    /// What a server does about it.
    var action: HostedConnection.Action {
        switch self {
        case .mistake(let text): .refuseAndClose("ERR Protocol error: \(text)")
        case .isHTTP: .close
        }
    }
}
