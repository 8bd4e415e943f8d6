/// The table of many runs.
struct Report {
    private struct Row {
        var runs = 0
        var messages = 0
        var fired: [Fault: Int] = [:]
        var lost = 0
        var duplicated = 0
        var slowest = VirtualTime.zero
        var failed = 0
    }

    private var rows: [Case: Row] = [:]
    private var failures: [(seed: UInt64, text: String)] = []
    private var count = 0
    private var steps = 0

    /// Adds what a worker has written.
    ///
    /// - Returns: The seed at which the worker crashed, if it did.
    mutating func add(_ text: String, hasDied: Bool) -> UInt64? {
        var last: UInt64?
        for line in text.split(separator: "\n") {
            if let outcome = Outcome(line: line) {
                add(outcome)
                last = nil
            } else if line.hasPrefix("B\t") {
                last = UInt64(line.dropFirst(2))
            } else if line.hasPrefix("D\t"), let seed = UInt64(line.dropFirst(2)) {
                failures.append((seed, "two runs of this seed differ"))
            }
        }
        guard hasDied || last != nil else { return nil }
        failures.append((last ?? 0, "the process crashed at this seed, or did not end"))
        return last
    }

    private mutating func add(_ outcome: Outcome) {
        count += 1
        steps += outcome.steps
        var row = rows[outcome.name] ?? Row()
        row.runs += 1
        row.messages += outcome.messages
        row.fired.merge(outcome.fired, uniquingKeysWith: +)
        row.lost += outcome.lost
        row.duplicated += outcome.duplicated
        row.slowest = max(row.slowest, outcome.recovery)
        if !outcome.violations.isEmpty { row.failed += 1 }
        rows[outcome.name] = row
        for violation in outcome.violations { failures.append((outcome.seed, violation)) }
    }

    /// Adds a failure that belongs to no seed.
    mutating func fail(_ text: String) { failures.append((0, text)) }

    /// Seeds with violations, each once.
    var failedSeeds: [UInt64] { Set(failures.map(\.seed)).subtracting([0]).sorted() }

    func isGood(expected: Int) -> Bool { failures.isEmpty && count == expected }

    func print(seconds: Double) {
        line("case", ["seeds", "messages", "faults", "lost", "duplicates", "slowest", "failed"])
        for name in Case.allCases {
            guard let row = rows[name] else { continue }
            let faults = row.fired.values.reduce(0, +)
            let slowest = "\(row.slowest.nanoseconds / 1_000_000) ms"
            let numbers = [row.runs, row.messages, faults, row.lost, row.duplicated].map(String.init)
            line(name.rawValue, numbers + [slowest, "\(row.failed)"])
        }
        Swift.print("\n\(count) seeds, \(steps) steps, \(Int(seconds * 1000)) ms")
        for (seed, text) in failures.sorted(by: { $0.seed < $1.seed }).prefix(40) {
            Swift.print("seed \(seed): \(text)")
        }
        if failures.count > 40 { Swift.print("… and \(failures.count - 40) more") }
    }

    private func line(_ name: String, _ cells: [String]) {
        let left = name + String(repeating: " ", count: max(0, 24 - name.count))
        let right = cells.map { String(repeating: " ", count: max(1, 12 - $0.count)) + $0 }.joined()
        Swift.print(left + right)
    }
}
