import Foundation

/// Runs seeds: one with its trace, or many in several processes.
struct Runner {
    let options: Options

    init(_ options: Options) {
        self.options = options
    }

    // MARK: One seed

    /// Runs a seed.
    static func run(_ seed: UInt64, isTraced: Bool = false) -> (outcome: Outcome, trace: [String]) {
        let name = Case.of(seed)
        let world = World(seed: seed, isTraced: isTraced)
        var recovery = VirtualTime.zero
        do {
            recovery = try name.run(in: world)
        } catch {
            world.checker.violated(.noLeak, "the scenario throws \(error)")
        }
        world.end()
        let outcome = Outcome(seed: seed, name: name, world: world, recovery: recovery)
        world.discard()
        return (outcome, world.trace.lines)
    }

    func runOne(_ seed: UInt64) -> Bool {
        let (outcome, trace) = Self.run(seed, isTraced: true)
        for line in trace { print(line) }
        print("")
        let faults = outcome.fired.sorted { $0.key < $1.key }.map { "\($0.value) × \($0.key)" }.joined(separator: ", ")
        print("seed \(seed): \(outcome.name.rawValue), \(outcome.messages) messages, faults: \(faults)")
        print("steps \(outcome.steps), fingerprint \(String(outcome.fingerprint, radix: 16)), "
            + "\(outcome.duplicated) duplicates, settled \(outcome.recovery) ms after the last fault")
        for violation in outcome.violations { print("VIOLATED: \(violation)") }
        return outcome.violations.isEmpty
    }

    // MARK: Many seeds

    /// Runs a part of all seeds, and writes a line for each.
    func runWorker() -> Bool {
        for seed in options.ownSeeds {
            // Should the process die, this says at which seed.
            write("B\t\(seed)")
            // One that does not end dies, and is told by its number.
            alarm(60)
            let outcome = Self.run(seed).outcome
            write(outcome.line)
            if options.isVerified, Self.run(seed).outcome.line != outcome.line { write("D\t\(seed)") }
        }
        return true
    }

    /// Writes a line at once: the process may not live to do it later.
    private func write(_ line: String) {
        FileHandle.standardOutput.write(Data((line + "\n").utf8))
    }

    /// Runs all seeds in several processes, and prints the table.
    func runAll() throws -> Bool {
        let start = Date()
        let folder = FileManager.default.temporaryDirectory.appending(path: "simulate-\(getpid())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let workers = try (0..<options.workers).map { part in try startWorker(part, folder) }
        for (process, _) in workers { process.waitUntilExit() }
        var report = Report()
        for (process, file) in workers {
            report.add(try String(contentsOf: file, encoding: .utf8), hasCrashed: process.terminationStatus != 0)
        }
        report.print(seconds: Date().timeIntervalSince(start))
        return report.isGood(expected: Int(options.seeds))
    }

    private func startWorker(_ part: UInt64, _ folder: URL) throws -> (Process, URL) {
        let file = folder.appending(path: "\(part).txt")
        try Data().write(to: file)
        let process = Process()
        process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = [
            "--worker", "\(part)", "--workers", "\(options.workers)", "--seeds", "\(options.seeds)",
            "--first", "\(options.first)",
        ] + (options.isVerified ? ["--verify"] : [])
        process.standardOutput = try FileHandle(forWritingTo: file)
        try process.run()
        return (process, file)
    }
}
