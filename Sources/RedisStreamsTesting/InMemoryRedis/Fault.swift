internal import Synchronization

/// A fault that an ``InMemoryRedis`` applies to commands: what goes wrong, when, how often, and how often it has
/// happened.
public final class Fault: Sendable {
    /// What goes wrong with a command.
    public enum Kind: Sendable, Hashable {
        /// The server closes the connection instead of executing the command.
        case close
        /// The network is lost unnoticed: neither the command nor anything after it on the same connection arrives.
        case drop
        /// The server executes the command, and the network is lost unnoticed before the reply arrives.
        case dropReply
        /// The server executes the command, and closes the connection without a reply.
        case closeAfterExecuting
        /// The command, and everything after it on the same connection, arrives this much later.
        case delay(Duration)
        /// The server answers the command with this error instead of executing it, such as `OOM command not allowed …`.
        case error(String)
    }

    private struct Counts {
        var seen = 0
        var fired = 0
        var isOver = false
    }

    /// What goes wrong with a command.
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

    /// How often the fault has happened.
    public var fired: Int { counts.withLock(\.fired) }

    /// Stops the fault: it does not happen any more.
    public func stop() { counts.withLock { $0.isOver = true } }

    var isSpent: Bool { counts.withLock { $0.isOver || $0.fired >= times } }

    /// Returns whether the fault happens to this command, and counts it. It does not happen if another fault already
    /// does (`isTaken`).
    func applies(to arguments: [Bytes], isTaken: Bool) -> Bool {
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
