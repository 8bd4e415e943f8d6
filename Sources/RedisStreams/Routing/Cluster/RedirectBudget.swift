internal import NIOCore

/// Decides how often and where a command is sent again that no node has executed.
struct RedirectBudget {
    /// The most redirections of one command.
    static let maxRedirections = 5

    enum Step: Equatable {
        /// Send it to the node that a `MOVED` names.
        case sendTo(ServerAddress)
        /// Send it to the node that an `ASK` names, behind `ASKING`.
        case ask(ServerAddress)
        /// Wait, and send it to the node that serves the slot by then.
        case wait(attempt: Int)
        /// Give up.
        case fail
        /// Give up: even the last node has sent it on.
        case failMoving
    }

    private(set) var redirections = 0
    private var waits = 0

    /// The command has failed on the node at `address`.
    mutating func next(after error: RedisError, at address: ServerAddress?) -> Step {
        if error.code == .slotMoving, let redirection = error.redirection, let address {
            redirections += 1
            guard redirections <= Self.maxRedirections else { return .failMoving }
            guard let target = redirection.address(from: address) else { return wait() }
            return redirection.kind == .ask ? .ask(target) : .sendTo(target)
        }
        return Self.mayPass(error) ? wait() : .fail
    }

    private mutating func wait() -> Step {
        waits += 1
        return .wait(attempt: waits)
    }

    /// Whether the cluster has not executed the command, and another attempt may succeed soon.
    static func mayPass(_ error: RedisError) -> Bool {
        switch error.code {
        case .clusterUnavailable, .readOnly, .masterDown, .loading, .slotMoving: true
        // The connection could not be made, or ended before the command was sent. What was sent is never sent again.
        default: error.isRetriable && error.serverCode == nil && !error.mayHaveExecuted
        }
    }
}
