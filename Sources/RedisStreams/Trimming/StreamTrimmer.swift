internal import Logging
public import ServiceLifecycle

/// Trims a stream at intervals, up to the first entry that a group still needs.
///
/// ```swift
/// let trimmer = StreamTrimmer(redis, stream: "orders")
/// let services = ServiceGroup(
///     services: [redis, billing, trimmer],
///     gracefulShutdownSignals: [.sigterm],
///     logger: logger
/// )
/// ```
///
/// Producers then need not trim (`MAXLEN`), which also removes entries that a slow group has yet to read. Several
/// trimmers of one stream do no harm. A group without readers keeps all entries: set ``GroupTrim/maxLength`` or
/// ``GroupTrim/abandonedAfter`` to bound the stream.
///
/// **Faults.** The trimmer waits and tries again after a lost connection, and while the server is loading or failing
/// over. It throws errors that another attempt cannot fix.
///
/// Source: [XTRIM](https://redis.io/docs/latest/commands/xtrim/).
public struct StreamTrimmer: Service {
    /// Something that happened while trimming, for logs, metrics and alerts. You need not read the events.
    ///
    /// New versions may add cases: handle those that you know, and have a `default`.
    public enum Event: Sendable {
        /// Trimming removed entries.
        case trimmed(TrimReport)
        /// Trimming will soon remove entries that a group has not acknowledged: `lag` messages of the group are unread
        /// or pending, and the stream is kept at about `maxLength`. Reported again only after the group has caught up.
        case lagNearsTrimming(group: String, lag: Int, maxLength: Int)
        /// Trimming removed entries that a group needed, all of them before `before`, because the stream was too long.
        case lost(group: String, before: StreamID)
        /// No consumer of a group was active for ``GroupTrim/abandonedAfter``, so trimming ignores the group.
        case abandoned(group: String)
        /// The connection or the server failed; the trimmer goes on after `retryAfter`.
        case interrupted(RedisError, retryAfter: Duration)
    }

    /// How a trimmer works.
    public struct Configuration: Sendable {
        /// How far to trim. Default: up to the first entry that a group still needs.
        public var goal = GroupTrim()

        /// The interval between trims. Each one is shortened by up to a quarter at random, so that several trimmers do
        /// not trim at the same time. The first trim comes after a random part of the interval. Default: 30 s.
        public var interval: Duration = .seconds(30)

        /// The lag of a group at which to warn. Default: `nil`, which is four fifths of the goal's
        /// ``GroupTrim/maxLength``, if there is one. If producers trim, set it somewhat lower than the length that they
        /// trim to.
        public var warningLag: Int?

        /// The delays between attempts after a failure of the connection or the server.
        public var backoff = Backoff()

        /// The position of each interval in its range, from 0 to 1; `nil` for a random one.
        package var jitter: Double?

        /// The defaults.
        public init() {}

        var effectiveWarningLag: Int? { warningLag ?? goal.maxLength.map { max(1, $0 / 5 * 4) } }

        func validate() throws(RedisError) {
            try backoff.validate()
            try goal.validate()
            guard interval >= .milliseconds(10), interval <= .seconds(86_400) else {
                throw RedisError(.invalidConfiguration, "The interval of a trimmer must be from 10 ms to a day.")
            }
            if let warningLag, warningLag < 1 {
                throw RedisError(.invalidConfiguration, "The lag at which a trimmer warns must be at least 1.")
            }
        }
    }

    private let client: RedisClient
    private let continuation: AsyncStream<Event>.Continuation

    /// The stream to trim.
    public let stream: StreamKey

    /// How the trimmer works.
    public let configuration: Configuration

    /// What happens while trimming. The sequence buffers the newest few hundred events, and drops older ones. Use it
    /// in one loop at a time.
    public let events: AsyncStream<Event>

    /// A trimmer of a stream. It trims while ``run()`` runs.
    public init(_ client: RedisClient, stream: StreamKey, configuration: Configuration = Configuration()) {
        self.client = client
        self.stream = stream
        self.configuration = configuration
        (events, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(256))
    }

    /// Trims until the task is cancelled or a graceful shutdown begins.
    ///
    /// - Throws: ``RedisError``, if trimming cannot continue.
    public func run() async throws {
        try configuration.validate()
        try RedisError.check("stream", isName: stream.rawValue)
        try await cancelWhenGracefulShutdown { try await trimOn() }
    }

    private func trimOn() async throws(RedisError) {
        let eventLoop = client.nextEventLoop()
        let maxLength = configuration.goal.maxLength
        var monitor = TrimMonitor(warningLag: configuration.effectiveWarningLag, maxLength: maxLength)
        var attempt = 0
        // Trimmers that start at the same time must not trim at the same time.
        var delay = configuration.interval * chance()
        while true {
            await eventLoop.sleep(for: delay)
            if Task.isCancelled { return }
            do throws(RedisError) {
                let report = try await client.trim(stream, configuration.goal)
                attempt = 0
                delay = configuration.interval * (1 - chance() / 4)
                for event in monitor.events(of: report) { notify(event) }
            } catch {
                if Task.isCancelled { return }
                guard error.isRetriable else { throw error }
                attempt += 1
                delay = configuration.backoff.delay(attempt: attempt, jitter: chance(), after: error)
                notify(.interrupted(error, retryAfter: delay))
            }
        }
    }

    private func chance() -> Double { configuration.jitter ?? client.randomness() }

    private func notify(_ event: Event) {
        continuation.yield(event)
        var metadata: Logger.Metadata = [LogKey.stream: "\(stream)"]
        switch event {
        case .trimmed(let report):
            metadata[LogKey.count] = "\(report.removedCount + report.forcedCount)"
            client.logger.debug("stream trimmed", metadata: metadata)
        case .lagNearsTrimming(let group, let lag, _):
            metadata[LogKey.group] = "\(group)"
            metadata[LogKey.count] = "\(lag)"
            client.logger.warning(
                "trimming will soon remove entries that a group has not acknowledged",
                metadata: metadata
            )
        case .lost(let group, let before):
            metadata[LogKey.group] = "\(group)"
            metadata[LogKey.message] = "\(before)"
            client.logger.warning("trimming removed entries that a group needed", metadata: metadata)
        case .abandoned(let group):
            metadata[LogKey.group] = "\(group)"
            client.logger.warning("group counts as abandoned, and trimming ignores it", metadata: metadata)
        case .interrupted(let error, _):
            metadata[LogKey.reason] = "\(error.code)"
            client.logger.info("trimmer interrupted", metadata: metadata)
        }
    }
}
