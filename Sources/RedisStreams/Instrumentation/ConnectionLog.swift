internal import Logging
internal import NIOCore
internal import Synchronization

/// Writes what happens to the connections of a client into its log.
final class ConnectionLog: ConnectionInstrument, PoolInstrument, TopologyInstrument {
    private struct State {
        var hasConnected = false
        var connectingWarnings = WarningPace()
        var credentialsWarnings = WarningPace()
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
        let isDue = state.withLock { $0.credentialsWarnings.isDue(now: failure.time) }
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

    // MARK: Sentinels

    func masterNamed(_ address: String, epoch: Int, insteadOf old: String?) {
        var metadata: Logger.Metadata = [LogKey.master: "\(address)", LogKey.epoch: "\(epoch)"]
        guard let old else { return logger.info("the sentinels name the master", metadata: metadata) }
        metadata[LogKey.oldMaster] = "\(old)"
        logger.warning(
            "the sentinels name another master: the client has closed its connections to the one before",
            metadata: metadata
        )
    }

    func masterVerified(_ address: String, epoch: Int) {
        logger.info("the master serves", metadata: [LogKey.master: "\(address)", LogKey.epoch: "\(epoch)"])
    }

    func sentinelRefused(_ sentinel: String, master: String, epoch: Int) {
        logger.info(
            "a sentinel names a master of an earlier failover, and is not believed",
            metadata: [LogKey.sentinel: "\(sentinel)", LogKey.master: "\(master)", LogKey.epoch: "\(epoch)"]
        )
    }

    func sentinelsLost(_ reason: RedisError.Code) {
        logger.warning(
            "no sentinel answers: the client stays with the present master, and would not notice a failover",
            metadata: [LogKey.reason: "\(reason)"]
        )
    }

    func sentinelsFound() {
        logger.info("a sentinel answers again")
    }

    /// Whether to warn that the server cannot be reached: at once and then each minute, as long as there has been no
    /// connection.
    private func isWarningDue(now: NIODeadline) -> Bool {
        state.withLock { !$0.hasConnected && $0.connectingWarnings.isDue(now: now) }
    }
}
