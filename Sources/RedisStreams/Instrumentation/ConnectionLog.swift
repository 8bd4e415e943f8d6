internal import Logging
internal import NIOCore
internal import Synchronization

/// Writes what happens to the connections of a client into its log.
final class ConnectionLog: ConnectionInstrument, PoolInstrument {
    private struct State {
        var hasConnected = false
        var warnedAt: NIODeadline?
        var warnedOfCredentialsAt: NIODeadline?
    }

    private let logger: Logger
    private let state = Mutex(State())

    init(_ logger: Logger) {
        self.logger = logger
    }

    func connectionOpened(_ connection: ConnectionReport) {
        state.withLock { $0.hasConnected = true }
    }

    func connectingFailed(_ failure: ConnectingFailure) {
        // The caller gets the error of a last attempt.
        guard let delay = failure.retryAfter else { return }
        let level: Logger.Level = isWarningDue(now: failure.time) ? .warning : .debug
        logger.log(level: level, "could not connect", metadata: LogKey.retry(failure.error, failure.attempt, delay))
    }

    func credentialsNotRenewed(_ failure: ConnectingFailure) {
        // All connections of the client have the same trouble at the same time.
        let isDue = state.withLock { state in
            if let last = state.warnedOfCredentialsAt, failure.time < last + .minutes(1) { return false }
            state.warnedOfCredentialsAt = failure.time
            return true
        }
        guard let delay = failure.retryAfter else { return }
        logger.log(
            level: isDue ? .warning : .debug,
            "could not renew the credentials: open connections go on with those that they have",
            metadata: LogKey.retry(failure.error, failure.attempt, delay)
        )
    }

    func connectionEnded(_ end: ConnectionEnd) {
        if [.protocolViolation, .replyTooLarge].contains(end.reason.code) {
            logger.info("protocol violation", metadata: [LogKey.reason: "\(end.reason.code)"])
        }
        logger.debug(
            "connection ended",
            metadata: [LogKey.reason: "\(end.reason.code)", LogKey.pending: "\(end.pendingCommands)"]
        )
    }

    func connectionsRetired(count: Int) {
        logger.info(
            "the server is not the master: the client closes its connections and connects again",
            metadata: [LogKey.count: "\(count)"]
        )
    }

    /// Whether to warn that the server cannot be reached: at once and then each minute, as long as there has been no
    /// connection.
    private func isWarningDue(now: NIODeadline) -> Bool {
        state.withLock { state in
            if state.hasConnected { return false }
            if let warnedAt = state.warnedAt, now < warnedAt + .minutes(1) { return false }
            state.warnedAt = now
            return true
        }
    }
}
