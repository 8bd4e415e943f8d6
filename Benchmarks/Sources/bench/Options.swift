/// What the command line asks for.
struct Options {
    var workloads = Workload.all
    var rounds = 5
    var messages = 200_000
    /// Whether a floor that is missed makes the run fail.
    var isStrict = false

    /// `nil` if help is wanted.
    init?(_ arguments: [String]) throws {
        var chosen: [Workload] = []
        var rest = arguments[...]
        while let name = rest.popFirst() {
            switch name {
            case "-h", "--help": return nil
            case "--strict": isStrict = true
            case "--rounds": rounds = try Self.number(of: name, &rest, atLeast: 1)
            case "--messages": messages = try Self.number(of: name, &rest, atLeast: 1000)
            case "--workload": chosen.append(try Self.workload(&rest))
            default: throw Failure("There is no option '\(name)'.\n\n\(Self.usage)")
            }
        }
        if !chosen.isEmpty { workloads = chosen }
    }

    private static func number(of name: String, _ rest: inout ArraySlice<String>, atLeast least: Int) throws -> Int {
        guard let number = rest.popFirst().flatMap({ Int($0) }), number >= least else {
            throw Failure("\(name) takes a number, \(least) at least.")
        }
        return number
    }

    private static func workload(_ rest: inout ArraySlice<String>) throws -> Workload {
        let name = rest.popFirst()
        guard let workload = Workload.all.first(where: { $0.name == name }) else {
            throw Failure("--workload takes one of: \(names).")
        }
        return workload
    }

    private static var names: String {
        Workload.all.map { "'\($0.name)'" }.joined(separator: ", ")
    }

    static var usage: String {
        """
        usage: bench [--workload NAME]… [--rounds N] [--messages N] [--strict]

        Measures swift-redis-streams against plain C loops on hiredis, in turn, on the Redis that REDIS_URL names.
        Every figure stands for a round in which each message was seen exactly once and acknowledged.

          --workload NAME  One of \(names). Default: all.
          --rounds N       How often each side runs; the ratio is that of one round. Default: 5.
          --messages N     Messages in each run. Default: 200000.
          --strict         End with 1 if a workload is under its floor.

        Prints a table, and writes Benchmarks/.results/latest.json.
        """
    }
}
