import DequeModule
import HeapModule

/// Runs everything there is in a simulation on one thread: the jobs of tasks, the closures of event loops, and timers.
///
/// What is runnable is run in an order that the seed draws, within what a real machine could do: an event loop keeps the
/// order of what it was given, tasks run in any order. When nothing is runnable the clock jumps to the next timer. So the
/// same seed gives the same run, and another seed another one.
///
// SAFETY: there is one thread.
final class Scheduler: @unchecked Sendable {
    // SAFETY: there is one thread, and the simulation replaces it between runs.
    nonisolated(unsafe) static var current = Scheduler(seed: 0)

    private(set) var now = VirtualTime.zero
    /// For the order of what is runnable, and for the delays that clients draw.
    var random: SeededGenerator
    /// How many pieces of work have been run.
    private(set) var steps = 0
    /// On what event loop, if any, the piece of work runs that is being run.
    private(set) var runningLoop: SimulatedEventLoop?
    /// What is not part of any process that can be stopped: the network, the servers, the harness.
    private(set) var outside: SimulatedProcess!
    private var processes: [SimulatedProcess] = []
    private var timers = Heap<Timer>()
    private var nextTimer: UInt64 = 0
    /// Once in how many steps the clock goes on although there is work: a machine that is slow. Zero is never.
    var slowness = 0
    /// How many there were when the clock moved last.
    private var stepsAtMove = 0
    private static let tooManySteps = 20_000
    /// Whether work goes on and on while the clock stands still.
    private(set) var isRunningInCircles = false
    /// Of whom the last pieces of work were.
    var lastWorker: String { lastProcess?.name ?? "nobody" }
    private weak var lastProcess: SimulatedProcess?
    /// What is to be done after so many steps.
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

    /// A process of which nothing runs any more, nor will.
    func remove(_ process: SimulatedProcess) {
        processes.removeAll { $0 === process }
    }

    // MARK: Work

    /// A job of a task that belongs to no process.
    func enqueue(stray job: UnownedJob) {
        outside.enqueue(job)
    }

    /// Has `body` called at a time, on the event loop of a process: when the process is stopped, once it goes on.
    @discardableResult
    func at(_ time: VirtualTime, in process: SimulatedProcess, _ body: @escaping () -> Void) -> Timer {
        nextTimer += 1
        let timer = Timer(deadline: max(time, now), number: nextTimer, process: process, body: body)
        timers.insert(timer)
        return timer
    }

    /// Has `body` called at a time by the harness.
    @discardableResult
    func after(_ delay: VirtualTime, _ body: @escaping () -> Void) -> Timer {
        at(now + delay, in: outside, body)
    }

    /// Has `body` called between two steps, so many from now: in the middle of whatever is going on then.
    func afterSteps(_ count: Int, _ body: @escaping () -> Void) {
        if count == 0 { body() } else { stepTimers.append((steps + count, body)) }
    }

    private func fireStepTimers() {
        while let index = stepTimers.firstIndex(where: { $0.step <= steps }) { stepTimers.remove(at: index).body() }
    }

    // MARK: Running

    /// Runs until `isDone`, or until nothing is left to do, or time is up. Returns whether it is done.
    func run(until deadline: VirtualTime, isDone: () -> Bool) -> Bool {
        while !isDone() {
            // Whoever works for so long without waiting for anything runs in circles.
            if steps - stepsAtMove > Self.tooManySteps {
                isRunningInCircles = true
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

    /// Moves the clock to the next timer, and makes runnable what is due then.
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

    /// Forgets all timers, so that nothing keeps a finished run alive.
    func discard() {
        while let timer = timers.popMin() {
            timer.body = nil
            // A promise must not go without an answer.
            runningLoop = timer.process.eventLoop
            timer.onDiscard?()
        }
        runningLoop = nil
        stepTimers = []
        for process in processes { process.discard() }
        processes = []
    }

    /// Something that is to happen at a time.
    ///
    // SAFETY: there is one thread.
    final class Timer: Comparable, @unchecked Sendable {
        let deadline: VirtualTime
        fileprivate let number: UInt64
        fileprivate let process: SimulatedProcess
        fileprivate var body: (() -> Void)?
        /// Called when it is clear that the time will never come.
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
