internal import Synchronization

/// Something that goes wrong with commands on an ``InMemoryRedis``: when, how often, and whether it has happened.
public final class Fault: Sendable {
    /// What goes wrong.
    public enum Kind: Sendable, Hashable {
        /// The connection is closed instead of executing the command.
        case close
        /// The command does not arrive, nor does anything that follows on its connection, and nobody notices: the network
        /// has gone.
        case drop
        /// The command is executed, and the network has gone before its reply arrives.
        case dropReply
        /// The command is executed, and the connection closed without its reply.
        case closeAfterExecuting
        /// The command, and what follows on its connection, arrives so much later.
        case delay(Duration)
        /// The command is answered with this error instead of being executed: `OOM command not allowed …`.
        case error(String)
    }

    private struct Counts {
        var seen = 0
        var fired = 0
        var isOver = false
    }

    /// What goes wrong.
    public let kind: Kind
    private let command: [Bytes]
    private let nth: Int
    private let times: Int
    private let counts = Mutex(Counts())

    init(_ kind: Kind, on command: String?, nth: Int, times: Int) {
        self.kind = kind
        self.command = (command ?? "").uppercased().split(separator: " ").map { Bytes($0.utf8) }
        self.nth = max(1, nth)
        self.times = times
    }

    /// How often it has happened.
    public var fired: Int { counts.withLock(\.fired) }

    /// It does not happen any more.
    public func stop() { counts.withLock { $0.isOver = true } }

    var isSpent: Bool { counts.withLock { $0.isOver || $0.fired >= times } }

    /// Whether it happens to this command: not if another fault does already.
    func strikes(_ arguments: [Bytes], isTaken: Bool) -> Bool {
        guard arguments.count >= command.count, zip(command, arguments).allSatisfy({ $0 == $1.uppercase }) else {
            return false
        }
        return counts.withLock { counts in
            counts.seen += 1
            guard !isTaken, !counts.isOver, counts.seen >= nth, counts.fired < times else { return false }
            counts.fired += 1
            return true
        }
    }
}
