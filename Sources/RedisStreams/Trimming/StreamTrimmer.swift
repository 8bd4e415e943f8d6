internal import Logging
public import ServiceLifecycle

/// Trims a stream again and again, as far as every group has done with it.
///
/// ```swift
/// let trimmer = StreamTrimmer(redis, stream: "orders")
/// let services = ServiceGroup(services: [redis, billing, trimmer], gracefulShutdownSignals: [.sigterm], logger: logger)
/// ```
///
/// Producers then need not trim (`MAXLEN`), which takes what a slow group has yet to read. Several trimmers of one stream
/// do no harm. A group that nobody reads keeps everything: bound it by ``GroupTrim/maxLength`` or
/// ``GroupTrim/abandonedAfter``.
///
/// **Faults.** Lost connections and servers that are loading or failing over are waited for. What trying again does not
/// mend is thrown.
///
/// Source: [XTRIM](https://redis.io/docs/latest/commands/xtrim/).
public struct StreamTrimmer: Service {
    /// Something that happened while trimming, for logs, metrics and alarms. Nothing depends on anybody looking.
    ///
    /// There may be more of them with each version: handle those that you know, and have a `default`.
    public enum Event: Sendable {
        /// Entries were removed.
        case trimmed(TrimReport)
        /// Trimming is about to take what a group has not done with: `lag` messages are waiting or pending, and the stream
        /// is kept at about `maxLength`. Told again only when the group had caught up.
        case lagNearsTrimming(group: String, lag: Int, maxLength: Int)
        /// Entries that a group needed, all of them before `before`, were removed, because the stream was too long.
        case lost(group: String, before: StreamID)
        /// A group has given no sign of life for so long that it is not waited for any more.
        case abandoned(group: String)
        /// The connection or the server failed; the trimmer goes on after `retryAfter`.
        case interrupted(RedisError, retryAfter: Duration)
    }

    /// How a trimmer works.
    public struct Configuration: Sendable {
        /// How far to trim. Default: as far as every group has done with.
        public var goal = GroupTrim()

        /// How often to trim; each time, up to a quarter is taken off by chance, so that several trimmers do not work in
        /// step. Default: 30 s. The first time is after a part of it by chance.
        public var interval: Duration = .seconds(30)

        /// At which lag of a group to warn. Default: `nil`, at four fifths of the goal's ``GroupTrim/maxLength``, if there
        /// is one. Set it to somewhat less than what producers trim to, if they do.
        public var warningLag: Int?

        /// The delays between attempts after a failure of the connection or the server.
        public var backoff = Backoff()

        /// Where in its range each time falls, from 0 to 1; `nil` draws lots.
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
    private let feed: AsyncStream<Event>.Continuation

    /// The stream that is trimmed.
    public let stream: StreamKey

    /// How the trimmer works.
    public let configuration: Configuration

    /// What happens: the newest few hundred events that nobody has taken. For one loop at a time.
    public let events: AsyncStream<Event>

    /// A trimmer of a stream. It works while its ``run()`` does.
    public init(_ client: RedisClient, stream: StreamKey, configuration: Configuration = Configuration()) {
        self.client = client
        self.stream = stream
        self.configuration = configuration
        (events, feed) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(256))
    }

    /// Trims until the task is cancelled or a graceful shutdown begins.
    ///
    /// - Throws: ``RedisError``, when trimming cannot go on.
    public func run() async throws {
        try configuration.validate()
        try RedisError.check("stream", isName: stream.rawValue)
        try await cancelWhenGracefulShutdown { try await trimOn() }
    }

    private func trimOn() async throws(RedisError) {
        let eventLoop = client.nextEventLoop()
        var watch = TrimMonitor(warningLag: configuration.effectiveWarningLag, maxLength: configuration.goal.maxLength)
        var attempt = 0
        // Those that begin together do not trim together.
        var delay = configuration.interval * chance()
        while true {
            await eventLoop.sleep(for: delay)
            if Task.isCancelled { return }
            do throws(RedisError) {
                let report = try await client.trim(stream, configuration.goal)
                attempt = 0
                delay = configuration.interval * (1 - chance() / 4)
                for event in watch.events(of: report) { tell(event) }
            } catch {
                if Task.isCancelled { return }
                guard error.isRetriable else { throw error }
                attempt += 1
                delay = configuration.backoff.delay(attempt: attempt, jitter: chance(), after: error)
                tell(.interrupted(error, retryAfter: delay))
            }
        }
    }

    private func chance() -> Double { configuration.jitter ?? client.randomness() }

    private func tell(_ event: Event) {
        feed.yield(event)
        var metadata: Logger.Metadata = [LogKey.stream: "\(stream)"]
        switch event {
        case .trimmed(let report):
            metadata[LogKey.count] = "\(report.removedCount + report.forcedCount)"
            client.logger.debug("stream trimmed", metadata: metadata)
        case .lagNearsTrimming(let group, let lag, _):
            metadata[LogKey.group] = "\(group)"
            metadata[LogKey.count] = "\(lag)"
            client.logger.warning("lag nears trimming", metadata: metadata)
        case .lost(let group, let before):
            metadata[LogKey.group] = "\(group)"
            metadata[LogKey.message] = "\(before)"
            client.logger.warning("entries were trimmed that a group needed", metadata: metadata)
        case .abandoned(let group):
            metadata[LogKey.group] = "\(group)"
            client.logger.warning("group is not waited for any more", metadata: metadata)
        case .interrupted(let error, _):
            metadata[LogKey.reason] = "\(error.code)"
            client.logger.info("trimmer interrupted", metadata: metadata)
        }
    }
}
