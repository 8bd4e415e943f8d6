import DequeModule

/// What would be a process of the operating system: an event loop, threads for tasks, and a state of being stopped.
///
/// While it is stopped nothing of it runs, and time goes on: as after SIGSTOP.
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
    /// What the event loop has to do, in order.
    private var loopWork = Deque<Work>()
    /// Jobs of tasks, which the threads of the process take in any order.
    private var jobs: [UnownedJob] = []
    private(set) var isStopped = false

    init(name: String, scheduler: Scheduler) {
        self.name = name
        self.scheduler = scheduler
        eventLoop = SimulatedEventLoop(process: self)
    }

    func stop() { isStopped = true }
    func goOn() { isStopped = false }

    // MARK: What is to be done

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

    /// From how many places the next piece of work may be taken.
    var runnableSources: Int {
        isStopped ? 0 : (loopWork.isEmpty ? 0 : 1) + (jobs.isEmpty ? 0 : 1)
    }

    /// Takes out what is to be run next.
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
