import Foundation
import Synchronization

/// Runs seeds: one with its trace, or many in several processes.
struct Runner {
    let options: Options

    init(_ options: Options) {
        self.options = options
    }

    // MARK: One seed

    /// Runs a seed.
    static func run(
        _ seed: UInt64,
        isTraced: Bool = false,
        change: (inout GroupPlan) -> Void = { _ in }
    ) -> (outcome: Outcome, trace: [String], lives: [String]) {
        let name = Case.of(seed)
        let world = World(seed: seed, isTraced: isTraced)
        var recovery = VirtualTime.zero
        do {
            recovery = try name.run(in: world, change)
        } catch {
            world.checker.violated(.noLeak, "the scenario throws \(error)")
        }
        world.end()
        let outcome = Outcome(seed: seed, name: name, world: world, recovery: recovery)
        world.discard()
        return (outcome, world.trace.lines, world.lives.lives(namedIn: outcome.violations))
    }

    func runOne(_ seed: UInt64) -> Bool {
        let (outcome, trace, lives) = Self.run(seed, isTraced: true)
        for line in trace { print(line) }
        print("")
        let faults = outcome.fired.sorted { $0.key < $1.key }.map { "\($0.value) × \($0.key)" }.joined(separator: ", ")
        print("seed \(seed): \(outcome.name.rawValue), \(outcome.messages) messages, faults: \(faults)")
        print(
            "steps \(outcome.steps), fingerprint \(String(outcome.fingerprint, radix: 16)), "
                + "\(outcome.duplicated) duplicates, settled \(outcome.recovery) ms after the last fault"
        )
        for violation in outcome.violations { print("VIOLATED: \(violation)") }
        for line in lives { print(line) }
        return outcome.violations.isEmpty
    }

    // MARK: Many seeds

    /// Runs a part of all seeds, and writes a line for each.
    func runWorker() -> Bool {
        for seed in options.ownSeeds {
            // If the process crashes, this line says at which seed.
            write("B\t\(seed)")
            limitTime()
            let outcome = Self.run(seed).outcome
            write(outcome.line)
            if options.isVerified, Self.run(seed).outcome.line != outcome.line { write("D\t\(seed)") }
        }
        return true
    }

    /// Ends the process by a signal if this seed does not end. The limit is on CPU time, since other processes may keep
    /// the machine busy.
    private func limitTime() {
        let limit = timeval(tv_sec: 30, tv_usec: 0)
        var timer = itimerval(it_interval: timeval(), it_value: limit)
        _ = unsafe setitimer(__itimer_which_t(ITIMER_VIRTUAL.rawValue), &timer, nil)
        // A limit on real time, in case the process blocks, which nothing here does.
        alarm(300)
    }

    /// Writes a line without a buffer, which a crash would lose.
    private func write(_ line: String) {
        FileHandle.standardOutput.write(Data((line + "\n").utf8))
    }

    /// Runs all seeds in several processes, and prints the table.
    func runAll() throws -> Bool {
        let start = Date()
        let folder = FileManager.default.temporaryDirectory.appending(path: "simulate-\(getpid())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let report = Mutex(Report())
        DispatchQueue.concurrentPerform(iterations: Int(options.workers)) { part in
            do {
                try runPart(UInt64(part), in: folder, report)
            } catch {
                report.withLock { $0.fail("a part could not be run: \(error)") }
            }
        }
        let result = report.withLock { $0 }
        result.print(seconds: Date().timeIntervalSince(start))
        // A seed that crashes a process crashes this one here.
        fflush(nil)
        for seed in result.failedSeeds.prefix(3) {
            for line in Self.run(seed, isTraced: true).lives { print("seed \(seed): \(line)") }
        }
        return result.isGood(expected: Int(options.seeds))
    }

    /// Runs a part in a process. If that crashes, another process runs the seeds that are left.
    private func runPart(_ part: UInt64, in folder: URL, _ report: borrowing Mutex<Report>) throws {
        var after: UInt64 = 0
        for attempt in 0..<Self.maxCrashes {
            let file = folder.appending(path: "\(part)-\(attempt).txt")
            try Data().write(to: file)
            let process = Process()
            process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
            process.arguments = options.arguments(part: part, after: after)
            process.standardOutput = try FileHandle(forWritingTo: file)
            try process.run()
            process.waitUntilExit()
            let text = try String(contentsOf: file, encoding: .utf8)
            guard let last = report.withLock({ $0.add(text, hasDied: process.terminationStatus != 0) }) else { return }
            after = last
        }
    }

    private static let maxCrashes = 20

    // MARK: Controls

    /// Runs each control until the checker finds its violation.
    func runControls() -> Bool {
        var isGood = true
        print("Violations that the checker has to find:\n")
        for control in Control.all {
            let (found, tried) = control.run { _ in
                limitTime()
            }
            let result = found.map { "found with seed \($0)" } ?? "NOT FOUND"
            print("  \(control.invariant.rawValue)\n      \(control.name): \(result), \(tried) tried")
            if found == nil { isGood = false }
        }
        return isGood
    }
}
