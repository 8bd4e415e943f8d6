import DequeModule
import HeapModule

/// Runs everything in a simulation on one thread: the jobs of tasks, the closures of event loops, and timers.
///
/// The seed draws the order of runnable work, within what a real machine could do: an event loop runs its work in
/// order, tasks run in any order. When nothing is runnable, the clock jumps to the next timer. So a seed always gives
/// the same run.
///
// SAFETY: there is one thread.
final class Scheduler: @unchecked Sendable {
    // SAFETY: there is one thread, and the simulation replaces it between runs.
    nonisolated(unsafe) static var current = Scheduler(seed: 0)

    private(set) var now = VirtualTime.zero
    /// Draws the order of runnable work, and the delays of clients.
    var random: SeededGenerator
    /// How many pieces of work have run.
    private(set) var steps = 0
    /// The event loop that runs the current piece of work, if any.
    private(set) var runningLoop: SimulatedEventLoop?
    /// The process of the network, the servers and the harness, which is never stopped.
    private(set) var outside: SimulatedProcess!
    private var processes: [SimulatedProcess] = []
    private var timers = Heap<Timer>()
    private var nextTimer: UInt64 = 0
    /// Once in this many steps the clock moves although there is work, as on a slow machine; never if zero.
    var slowness = 0
    /// The number of steps when the clock last moved.
    private var stepsAtMove = 0
    private static let tooManySteps = 20_000
    /// Whether `tooManySteps` have run without the clock moving.
    private(set) var isInBusyLoop = false
    /// The name of the process whose work ran last.
    var lastWorker: String { lastProcess?.name ?? "no process" }
    private weak var lastProcess: SimulatedProcess?
    /// Closures that run once so many steps have been made.
    private var stepTimers: [(step: Int, body: () -> Void)] = []

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed ^ 0x5EED)
        outside = makeProcess("outside")
    }

    func makeProcess(_ name: String) -> SimulatedProcess {
        let process = SimulatedProcess(name: name, scheduler: self)
        processes.append(process)
        return process
    }

    /// Removes a process, so that none of its work runs any more.
    func remove(_ process: SimulatedProcess) {
        processes.removeAll { $0 === process }
    }

    // MARK: Work

    /// Enqueues a job of a task that belongs to no process.
    func enqueueOutside(_ job: UnownedJob) {
        outside.enqueue(job)
    }

    /// Runs `body` at a time, on the event loop of a process. If the process is stopped then, `body` runs once it
    /// resumes.
    @discardableResult
    func at(_ time: VirtualTime, in process: SimulatedProcess, _ body: @escaping () -> Void) -> Timer {
        nextTimer += 1
        let timer = Timer(deadline: max(time, now), number: nextTimer, process: process, body: body)
        timers.insert(timer)
        return timer
    }

    /// Runs `body` after a delay, outside of the simulated processes.
    @discardableResult
    func after(_ delay: VirtualTime, _ body: @escaping () -> Void) -> Timer {
        at(now + delay, in: outside, body)
    }

    /// Runs `body` after `count` more steps, in the middle of whatever runs then.
    func afterSteps(_ count: Int, _ body: @escaping () -> Void) {
        if count == 0 { body() } else { stepTimers.append((steps + count, body)) }
    }

    private func fireStepTimers() {
        while let index = stepTimers.firstIndex(where: { $0.step <= steps }) { stepTimers.remove(at: index).body() }
    }

    // MARK: Running

    /// Runs until `isDone`, until there is no more work, or until the deadline. Returns whether it is done.
    func run(until deadline: VirtualTime, isDone: () -> Bool) -> Bool {
        while !isDone() {
            // Work that takes so many steps never waits for anything.
            if steps - stepsAtMove > Self.tooManySteps {
                isInBusyLoop = true
                return false
            }
            if !stepTimers.isEmpty { fireStepTimers() }
            if !step(until: deadline) { return isDone() }
        }
        return true
    }

    /// Runs one piece of work, or moves the clock. Returns `false` if there is neither before the deadline.
    private func step(until deadline: VirtualTime) -> Bool {
        let candidates = processes.reduce(0) { $0 + $1.runnableSources }
        if candidates == 0 || (slowness > 0 && random.oneIn(slowness) && nextIsNear) {
            return fireTimers(until: deadline)
        }
        steps += 1
        var choice = candidates == 1 ? 0 : Int(random.next() % UInt64(candidates))
        for process in processes {
            let sources = process.runnableSources
            if choice < sources {
                run(process.takeWork(source: choice, &random), of: process)
                return true
            }
            choice -= sources
        }
        return true
    }

    private func run(_ work: SimulatedProcess.Work, of process: SimulatedProcess) {
        lastProcess = process
        switch work {
        case .closure(let body):
            runningLoop = process.eventLoop
            body()
        case .loopJob(let job):
            runningLoop = process.eventLoop
            unsafe job.runSynchronously(on: process.eventLoop.asUnownedSerialExecutor())
        case .job(let job):
            unsafe job.runSynchronously(on: process.asUnownedTaskExecutor())
        }
        runningLoop = nil
    }

    private var nextIsNear: Bool {
        guard let next = timers.min else { return false }
        return next.deadline - now <= .milliseconds(5)
    }

    /// Moves the clock to the next timer, and makes all timers runnable that are due then.
    private func fireTimers(until deadline: VirtualTime) -> Bool {
        while let first = timers.min, first.isCancelled { timers.removeMin() }
        guard let next = timers.min, next.deadline <= deadline else { return false }
        if next.deadline > now {
            now = next.deadline
            stepsAtMove = steps
        }
        while let timer = timers.min, timer.deadline <= now {
            timers.removeMin()
            if let body = timer.body.take() { timer.process.execute(body) }
        }
        return true
    }

    /// Drops all timers and all work, so that nothing keeps a finished run in memory.
    func discard() {
        while let timer = timers.popMin() {
            timer.body = nil
            // NIO requires that every promise is completed.
            runningLoop = timer.process.eventLoop
            timer.onDiscard?()
        }
        runningLoop = nil
        stepTimers = []
        for process in processes { process.discard() }
        processes = []
    }

    /// Work that is due at a time.
    ///
    // SAFETY: there is one thread.
    final class Timer: Comparable, @unchecked Sendable {
        let deadline: VirtualTime
        fileprivate let number: UInt64
        fileprivate let process: SimulatedProcess
        fileprivate var body: (() -> Void)?
        /// Called when the scheduler drops the timer before its deadline.
        var onDiscard: (() -> Void)?

        fileprivate init(
            deadline: VirtualTime,
            number: UInt64,
            process: SimulatedProcess,
            body: @escaping () -> Void
        ) {
            self.deadline = deadline
            self.number = number
            self.process = process
            self.body = body
        }

        var isCancelled: Bool { body == nil }

        func cancel() { body = nil }

        static func < (a: Timer, b: Timer) -> Bool { (a.deadline, a.number) < (b.deadline, b.number) }
        static func == (a: Timer, b: Timer) -> Bool { a === b }
    }
}
