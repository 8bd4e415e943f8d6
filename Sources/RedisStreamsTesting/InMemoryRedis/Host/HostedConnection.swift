internal import NIOCore

/// The server's end of a connection. Its ``RedisHost`` guards it.
final class HostedConnection {
    enum State {
        case open
        /// The network is lost: nothing arrives on either side, and neither side notices.
        case networkLost
        case closed
    }

    /// What the host does when it is the turn of a command.
    enum Action {
        case execute([Bytes])
        case refuse([Bytes], String)
        case close
        /// The host answers bytes that are no command with this error, and closes the connection.
        case refuseAndClose(String)
        case loseNetwork
        case executeAndLoseNetwork([Bytes])
        case executeAndClose([Bytes])
    }

    let peer: any RedisPeer
    var state = State.open
    /// Whether the client has closed the connection, which a stopped server learns later.
    var peerHasLeft = false
    private var reader: RequestReader
    private var held: [(action: Action, until: Int?)] = []

    init(peer: any RedisPeer, version: InMemoryRedis.Version) {
        self.peer = peer
        reader = RequestReader(version)
    }

    /// Returns the commands that are complete now, and the protocol error in the bytes after them, if any.
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

    /// When the first held action is due, in milliseconds by the monotonic clock.
    var heldUntil: Int? { held.first?.until }

    /// Holds an action back, and with it all that come after it.
    func hold(_ action: Action, until: Int?) {
        held.append((action, until))
    }

    /// Removes and returns the actions that are due: the first one, and those after it up to the next one with a delay.
    func takeHeld() -> [Action] {
        guard !held.isEmpty else { return [] }
        let end = held.dropFirst().firstIndex { $0.until != nil } ?? held.endIndex
        let due = held[..<end].map(\.action)
        held.removeFirst(end)
        return due
    }
}

extension RequestReader.Failure {
    /// What the server does on this failure.
    var action: HostedConnection.Action {
        switch self {
        case .mistake(let text): .refuseAndClose("ERR Protocol error: \(text)")
        case .isHTTP: .close
        }
    }
}
