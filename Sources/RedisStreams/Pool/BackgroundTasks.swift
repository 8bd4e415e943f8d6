internal import NIOCore
internal import Synchronization

/// The scope in which everything runs that outlives a single call: the children of a client's `run()`.
final class BackgroundTasks: Sendable {
    typealias Job = @Sendable () async -> Void

    private enum Life {
        case new, running, ended
    }

    /// A job that is either run or refused, whichever comes first.
    private final class Entry: Sendable {
        private let job: Job
        private let refusal: @Sendable (RedisError) -> Void
        private let isDecided = Atomic(false)

        init(_ job: @escaping Job, refuse refusal: @escaping @Sendable (RedisError) -> Void) {
            self.job = job
            self.refusal = refusal
        }

        func run() async {
            if !isDecided.exchange(true, ordering: .relaxed) { await job() }
        }

        func refuse(_ error: RedisError) {
            if !isDecided.exchange(true, ordering: .relaxed) { refusal(error) }
        }
    }

    private let life = Mutex(Life.new)
    private let hasRun = Atomic(false)
    private let entries: AsyncStream<Entry>
    private let feed: AsyncStream<Entry>.Continuation

    private let patience: Duration
    private let eventLoopGroup: any EventLoopGroup

    /// - Parameter patience: How long a job waits for the scope to begin.
    init(patience: Duration, eventLoopGroup: any EventLoopGroup) {
        self.patience = patience
        self.eventLoopGroup = eventLoopGroup
        // Unbounded in form only: an entry is a slot of the pool or a consumer, which are bounded.
        (entries, feed) = AsyncStream.makeStream(of: Entry.self)
    }

    /// Whether there is a scope to run in.
    var isRunning: Bool { life.withLock { $0 == .running } }

    /// Runs `job` as soon as the scope is there. Calls `otherwise` instead if it has ended, or does not begin in time.
    func start(_ job: @escaping Job, otherwise refuse: @escaping @Sendable (RedisError) -> Void) {
        submit(Entry(job, refuse: refuse))
    }

    private func submit(_ entry: Entry) {
        let life = life.withLock { $0 }
        if life == .ended { return entry.refuse(PoolStateMachine<RedisConnection>.shutDown) }
        // The scope may end just now.
        if case .terminated = feed.yield(entry) { entry.refuse(PoolStateMachine<RedisConnection>.shutDown) }
        if life == .new {
            eventLoopGroup.next().scheduleTask(in: TimeAmount(patience)) { entry.refuse(Self.notRunning) }
        }
    }

    /// Waits until there is a scope, or was one: what is begun for a client that nobody runs would end with nobody.
    ///
    /// - Throws: ``RedisError``: the scope does not begin in time, or the task was cancelled.
    func waitUntilBegun() async throws(RedisError) {
        guard life.withLock({ $0 == .new }) else { return }
        let (refusals, outcome) = AsyncStream.makeStream(of: RedisError?.self)
        submit(Entry({ outcome.yield(nil) }, refuse: { outcome.yield($0) }))
        for await refusal in refusals {
            if let refusal { throw refusal }
            return
        }
        throw RedisError(.cancelled, "The task was cancelled while it waited for the client to run.")
    }

    /// What to tell somebody who waits for a client that does not run.
    static var notRunning: RedisError {
        RedisError(
            .connectionUnavailable,
            "The client is not running. Call run(), add it to a ServiceGroup, or use withRedisClient."
        )
    }

    /// Runs jobs until `stop()` or cancellation; cancels those that are left and waits for them.
    ///
    /// - Throws: ``RedisError``, if it was called before; without calling `cleanUp`, which is for the end of the scope.
    func run(cleanUp: () -> Void) async throws(RedisError) {
        guard !hasRun.exchange(true, ordering: .relaxed) else {
            throw RedisError(.invalidConfiguration, "A client runs once: run() was called before.")
        }
        // A shutdown may have begun before.
        life.withLock { if $0 == .new { $0 = .running } }
        await withDiscardingTaskGroup { group in
            for await entry in entries { group.addTask { await entry.run() } }
            life.withLock { $0 = .ended }
            group.cancelAll()
        }
        cleanUp()
        feed.finish()
        for await entry in entries { entry.refuse(PoolStateMachine<RedisConnection>.shutDown) }
    }

    /// Lets `run()` end.
    func stop() {
        life.withLock { $0 = .ended }
        feed.finish()
    }
}
