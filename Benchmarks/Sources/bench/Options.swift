import BenchmarkWork

/// The options of the command line.
struct Options {
    /// The subcommand.
    enum Command: String, CaseIterable {
        case table, check, allocations, peers, sweeps
    }

    var command = Command.table
    var measurements = Benchmark.all
    var rounds = 7
    var messages = 1_000_000
    var backlog = 10_000_000
    /// Short measurements, for CI.
    var isQuick = false
    /// How many latencies are measured in a run.
    var samples: Int { isQuick ? 1000 : 5000 }
    /// How many pieces of a backlog are read in a run.
    var passes: Int { isQuick ? 10 : 66 }
    /// For how many seconds a job without an end of its own is measured.
    var seconds: Double { isQuick ? 3 : 10 }
    /// Whether a goal that is missed makes the run fail.
    var isStrict = false
    /// Whether the measured allocations are the thresholds from now on.
    var updatesThresholds = false

    /// `nil` if help is wanted.
    init?(_ arguments: [String]) throws {
        var rest = arguments[...]
        if let command = rest.first.flatMap({ Command(rawValue: $0) }) {
            self.command = command
            rest.removeFirst()
        }
        // These commands make many runs, so that shorter ones suffice.
        if command == .sweeps || command == .peers { messages = 300_000 }
        if command == .sweeps { rounds = 5 }
        if command == .check || rest.contains("--quick") { makeQuick() }
        var chosen: [String] = []
        while let name = rest.popFirst() {
            switch name {
            case "-h", "--help": return nil
            case "--quick": continue
            case "--strict": isStrict = true
            case "--update": updatesThresholds = true
            case "--rounds": rounds = try Self.number(of: name, &rest, atLeast: 1)
            case "--messages": messages = try Self.number(of: name, &rest, atLeast: 1000)
            case "--backlog": backlog = try Self.number(of: name, &rest, atLeast: 100_000)
            case "--workload": chosen.append(try Self.workload(&rest))
            default: throw Failure("There is no option '\(name)'.\n\n\(Self.usage)")
            }
        }
        if chosen.isEmpty, self.command == .check {
            measurements.removeAll { $0.workloads.contains { $0.name == Workload.fairnessMixed.name } }
        }
        guard !chosen.isEmpty else { return }
        measurements = measurements.filter { $0.workloads.contains { chosen.contains($0.name) } }
    }

    private mutating func makeQuick() {
        isQuick = true
        rounds = 3
        messages = 100_000
        backlog = 500_000
    }

    private static func number(of name: String, _ rest: inout ArraySlice<String>, atLeast least: Int) throws -> Int {
        guard let number = rest.popFirst().flatMap({ Int($0) }), number >= least else {
            throw Failure("\(name) takes a number, \(least) at least.")
        }
        return number
    }

    private static func workload(_ rest: inout ArraySlice<String>) throws -> String {
        guard let name = rest.popFirst(), names.contains(name) else {
            throw Failure("--workload takes one of: \(list).")
        }
        return name
    }

    private static var names: [String] { Benchmark.all.flatMap { $0.workloads.map(\.name) } }
    private static var list: String { names.map { "'\($0)'" }.joined(separator: ", ") }

    static var usage: String {
        """
        usage: bench [table | check | allocations | peers | sweeps] [OPTION]…

        Measures swift-redis-streams against plain C loops on hiredis, in turn, on the Redis that REDIS_URL names.
        In every round that is counted, each message came exactly once and was acknowledged.

          table        All workloads with their goals; writes Benchmarks/.results/latest.json. The default.
          check        The short form of CI: counts allocations, and fails if a goal is missed by far.
          allocations  Counts allocations per message and compares them with Benchmarks/Thresholds.json.
          peers        Other clients beside Swift and C; writes Benchmarks/.results/peers.json.
          sweeps       Rates against COUNT, size, consumers and backlog; writes Benchmarks/.results/sweeps.json.

          --workload NAME  One of \(list). Default: all.
          --rounds N       How often each side runs; the ratio is that of one round. Default: 7; of sweeps 5.
          --messages N     Messages in each run. Default: 1000000; of peers and sweeps 300000.
          --backlog N      Entries in the long backlog. Default: 10000000.
          --quick          3 rounds, 100000 messages, short waits.
          --strict         End with 1 if a workload misses its goal.
          --update         With 'allocations': write what was measured, with some room, as the new thresholds.
        """
    }
}
