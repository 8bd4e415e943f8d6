internal import NIOCore
internal import Synchronization

/// Runs everything that outlives a single call: the child tasks of a client's `run()`.
final class BackgroundTasks: Sendable {
    typealias Job = @Sendable () async -> Void

    private enum Life {
        case new, running, ended
    }

    /// A job that the scope either runs or refuses, whichever comes first.
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
    private let continuation: AsyncStream<Entry>.Continuation

    private let timeout: Duration
    private let timers: any EventLoop

    /// - Parameter timeout: How long a job waits for the scope to begin.
    init(timeout: Duration, timers: any EventLoop) {
        self.timeout = timeout
        self.timers = timers
        // The stream has no bound, but its entries have: each is a slot of the pool or a consumer.
        (entries, continuation) = AsyncStream.makeStream(of: Entry.self)
    }

    /// Whether `run()` is at work.
    var isRunning: Bool { life.withLock { $0 == .running } }

    /// Runs `job` as soon as `run()` is at work. Calls `otherwise` instead if it has ended, or does not begin in time.
    func start(_ job: @escaping Job, otherwise refuse: @escaping @Sendable (RedisError) -> Void) {
        submit(Entry(job, refuse: refuse))
    }

    private func submit(_ entry: Entry) {
        let life = life.withLock { $0 }
        if life == .ended { return entry.refuse(PoolStateMachine<RedisConnection>.shutDown) }
        // The scope may have ended in between.
        if case .terminated = continuation.yield(entry) { entry.refuse(PoolStateMachine<RedisConnection>.shutDown) }
        if life == .new {
            timers.scheduleTask(in: TimeAmount(timeout)) { entry.refuse(Self.notRunning) }
        }
    }

    /// Waits until `run()` has begun: nothing would ever end what is started for a client that does not run.
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

    /// The error of callers that wait for a client that does not run.
    static var notRunning: RedisError {
        RedisError(
            .connectionUnavailable,
            "The client is not running. Call run(), add it to a ServiceGroup, or use withRedisClient."
        )
    }

    /// Runs jobs until `stop()` or cancellation. Then it cancels those that are left, waits for them, and calls `cleanUp`.
    ///
    /// - Throws: ``RedisError``, if it was called before; it does not call `cleanUp` then.
    func run(cleanUp: () -> Void) async throws(RedisError) {
        guard !hasRun.exchange(true, ordering: .relaxed) else {
            throw RedisError(.invalidConfiguration, "A client runs once: run() was called before.")
        }
        // `stop()` may have been called before.
        life.withLock { if $0 == .new { $0 = .running } }
        await withDiscardingTaskGroup { group in
            for await entry in entries { group.addTask { await entry.run() } }
            life.withLock { $0 = .ended }
            group.cancelAll()
        }
        cleanUp()
        continuation.finish()
        for await entry in entries { entry.refuse(PoolStateMachine<RedisConnection>.shutDown) }
    }

    /// Ends `run()`.
    func stop() {
        life.withLock { $0 = .ended }
        continuation.finish()
    }
}
