internal import Synchronization

/// The scope in which everything runs that outlives a single call: the children of a client's `run()`.
final class BackgroundTasks: Sendable {
    typealias Job = @Sendable () async -> Void

    private enum Life {
        case new, running, ended
    }

    private struct Entry: Sendable {
        let job: Job
        let refuse: @Sendable (RedisError) -> Void
    }

    private let life = Mutex(Life.new)
    private let hasRun = Atomic(false)
    private let entries: AsyncStream<Entry>
    private let feed: AsyncStream<Entry>.Continuation

    init() {
        // Unbounded in form only: an entry is a slot of the pool or a consumer, which are bounded.
        (entries, feed) = AsyncStream.makeStream(of: Entry.self)
    }

    /// Whether there is a scope to run in.
    var isRunning: Bool { life.withLock { $0 == .running } }

    /// Runs `job` as soon as the scope is there. Calls `otherwise` instead if it has ended.
    func start(_ job: @escaping Job, otherwise refuse: @escaping @Sendable (RedisError) -> Void) {
        if life.withLock({ $0 == .ended }) { return refuse(PoolStateMachine<RedisConnection>.shutDown) }
        // The scope may end just now.
        if case .terminated = feed.yield(Entry(job: job, refuse: refuse)) {
            refuse(PoolStateMachine<RedisConnection>.shutDown)
        }
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
            for await entry in entries { group.addTask { await entry.job() } }
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
