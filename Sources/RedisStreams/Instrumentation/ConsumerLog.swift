internal import Logging
internal import Synchronization

/// Writes what happens to a consumer into the log, one line for each event, for the person on call.
///
/// An event that loses a message, dead-letters it or has it handled twice is a warning. One that passes by itself is `info`. All
/// lines name the stream, and those of a group the group and the consumer.
final class ConsumerLog: Sendable {
    let logger: Logger
    /// How many interruptions there have been since the consumer last served.
    private let interruptions = Atomic(0)

    /// Writes nothing.
    static var none: ConsumerLog { ConsumerLog(Logger(label: "none", factory: { _ in SwiftLogNoOpLogHandler() })) }

    init(_ logger: Logger) {
        self.logger = logger
    }

    /// - Parameter reason: What the log says beyond the event.
    func write(_ event: ConsumerEvent, because reason: String? = nil) {
        switch event {
        case .groupCreated(let position, let wasLost):
            let text: Logger.Message =
                wasLost ? "the group was missing, and the consumer has created it again" : "group created"
            logger.log(level: wasLost ? .warning : .info, text, metadata: [LogKey.message: "\(position)"])
        case .claimed(let count):
            logger.info("claimed messages whose leases had expired", metadata: [LogKey.count: "\(count)"])
        case .leaseLost(let ids):
            logger.warning("leases were lost: others may handle these messages as well", metadata: Self.list(ids))
        case .retrying(let id, let failures, let delay): failed(id, failures, delay, reason)
        case .deadLettered(let id, _, let cause):
            let metadata: Logger.Metadata = [LogKey.message: "\(id)", LogKey.reason: "\(reason ?? cause)"]
            logger.warning("dead-lettered a message", metadata: metadata)
        case .rejected(let id, let cause):
            let metadata: Logger.Metadata = [LogKey.message: "\(id)", LogKey.reason: "\(cause)"]
            logger.warning(
                "a handler rejected a message, which was acknowledged: there is no deadLetter",
                metadata: metadata
            )
        case .deleted(let ids):
            logger.warning("messages were deleted while pending: nobody handles them", metadata: Self.list(ids))
        case .trimmedUnread(let count, let position, let next):
            let metadata: Logger.Metadata = [
                LogKey.count: "\(count.map { "\($0)" } ?? "unknown")", LogKey.message: "\(position) to \(next)",
            ]
            logger.warning("entries were trimmed before they were read", metadata: metadata)
        case .discontinuity(let found):
            let metadata: Logger.Metadata = [
                LogKey.stream: "\(found.stream)", LogKey.message: "\(found.position)", LogKey.reason: "\(found.kind)",
            ]
            logger.warning("the stream does not continue at the reader's position", metadata: metadata)
        case .interrupted(let error, let delay):
            let attempt = interruptions.add(1, ordering: .relaxed).newValue
            let metadata = LogKey.retry(error, attempt, delay)
            logger.log(level: .of(attempt: attempt), "consumer interrupted", metadata: metadata)
        case .unreadable(let id, let stream, let cause):
            let metadata: Logger.Metadata = [
                LogKey.stream: "\(stream)", LogKey.message: "\(id)", LogKey.reason: "\(cause)",
            ]
            logger.warning("could not read an entry", metadata: metadata)
        case .consumersRemoved(let names):
            let metadata: Logger.Metadata = [LogKey.count: "\(names.count)"]
            logger.info("removed consumers from the group that are gone and held nothing", metadata: metadata)
        case .claimedEarly(let ids, let consumer):
            let text: Logger.Message =
                "a consumer claims sooner than the lease here: set claimIdleTime to the same everywhere"
            logger.warning(text, metadata: Self.list(ids).merging([LogKey.owner: "\(consumer)"]) { $1 })
        case .unsettled(let ids):
            logger.warning(
                "the consumer ended before the server confirmed these outcomes: the messages are handled again",
                metadata: Self.list(ids)
            )
        case .rightsMissing(let commands):
            let metadata: Logger.Metadata = [LogKey.reason: "\(commands.joined(separator: ", "))"]
            logger.error("the user has no right to these commands: the consumer works less well", metadata: metadata)
        case .handlerRunsLong(let id, let time):
            let metadata: Logger.Metadata = [
                LogKey.message: "\(id)", LogKey.duration: "\(time.wholeMilliseconds)",
            ]
            logger.warning(
                "a handler still runs, and the consumer keeps renewing the lease of its message",
                metadata: metadata
            )
        case .ready: logger.debug("the reader knows where it reads from")
        case .reconnected:
            interruptions.store(0, ordering: .relaxed)
            logger.info("consumer reconnected")
        }
    }

    private func failed(_ id: StreamID, _ failures: Int, _ delay: Duration, _ reason: String?) {
        var metadata: Logger.Metadata = [
            LogKey.message: "\(id)", LogKey.attempt: "\(failures)", LogKey.delay: "\(delay.wholeMilliseconds)",
        ]
        if let reason { metadata[LogKey.reason] = "\(reason)" }
        if failures.isMilestone { return logger.warning("a message fails again and again", metadata: metadata) }
        logger.info("handler failed", metadata: metadata)
    }

    /// A handler has failed on a message that was acknowledged before, or is not pending.
    func lost(_ id: StreamID, because reason: String) {
        let metadata: Logger.Metadata = [LogKey.message: "\(id)", LogKey.reason: "\(reason)"]
        logger.warning("handler failed, and the message is lost: it is not tried again", metadata: metadata)
    }

    /// The number of ids, and the first of them.
    private static func list(_ ids: [StreamID]) -> Logger.Metadata {
        let first = ids.prefix(10).map(\.description).joined(separator: ", ")
        return [LogKey.count: "\(ids.count)", LogKey.message: "\(first)"]
    }
}

extension Logger.Level {
    /// The level for an attempt that failed: `info` for the first one, a warning now and then for as long as it lasts.
    static func of(attempt: Int) -> Logger.Level {
        attempt.isMilestone ? .warning : attempt == 1 ? .info : .debug
    }
}

extension Int {
    /// 10, 20, 40, and so on, always twice as much.
    var isMilestone: Bool { self > 0 && isMultiple(of: 10) && (self / 10).nonzeroBitCount == 1 }
}

extension String {
    /// The text as one line of 1,000 bytes at most, for logs and dead letter entries: a character that could end the line, or
    /// disguise another one, becomes a space.
    func onOneLine() -> String {
        let limit = 1000
        var line = ""
        for scalar in unicodeScalars {
            if line.utf8.count + UTF8.width(scalar) > limit { return line + "…" }
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator: line.append(" ")
            default: line.unicodeScalars.append(scalar)
            }
        }
        return line
    }
}
