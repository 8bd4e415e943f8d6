import DequeModule

/// Stands for a process of the operating system: it has an event loop and threads for tasks, and can be stopped.
///
/// While it is stopped, none of its work runs and time goes on, as after SIGSTOP.
///
// SAFETY: there is one thread.
final class SimulatedProcess: TaskExecutor, @unchecked Sendable {
    enum Work {
        /// On the event loop.
        case closure(() -> Void)
        /// On the event loop.
        case loopJob(UnownedJob)
        /// On any thread.
        case job(UnownedJob)
    }

    let name: String
    unowned let scheduler: Scheduler
    private(set) var eventLoop: SimulatedEventLoop!
    /// The work of the event loop, in order.
    private var loopWork = Deque<Work>()
    /// The jobs of tasks, which run in any order.
    private var jobs: [UnownedJob] = []
    private(set) var isStopped = false

    init(name: String, scheduler: Scheduler) {
        self.name = name
        self.scheduler = scheduler
        eventLoop = SimulatedEventLoop(process: self)
    }

    func stop() { isStopped = true }
    func resume() { isStopped = false }

    // MARK: Work

    func enqueue(_ job: consuming ExecutorJob) {
        jobs.append(UnownedJob(job))
    }

    func enqueue(_ job: UnownedJob) {
        jobs.append(job)
    }

    func enqueueOnLoop(_ job: UnownedJob) {
        loopWork.append(.loopJob(job))
    }

    func execute(_ body: @escaping () -> Void) {
        loopWork.append(.closure(body))
    }

    /// How many of the two sources, the event loop and the tasks, have work.
    var runnableSources: Int {
        isStopped ? 0 : (loopWork.isEmpty ? 0 : 1) + (jobs.isEmpty ? 0 : 1)
    }

    /// Removes and returns the next piece of work of a source.
    func takeWork(source: Int, _ random: inout SeededGenerator) -> Work {
        if source == 0, let work = loopWork.popFirst() { return work }
        let position = jobs.count == 1 ? 0 : Int(random.next() % UInt64(jobs.count))
        return .job(jobs.remove(at: position))
    }

    func discard() {
        loopWork = []
        jobs = []
    }
}
