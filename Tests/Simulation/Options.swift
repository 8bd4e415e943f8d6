/// The options of the command line.
struct Options {
    enum Mode {
        case all
        case one(UInt64)
        case controls
        /// One part of the seeds, in a process that `all` has started.
        case worker
    }

    struct Mistake: Error, CustomStringConvertible {
        let description: String

        init(_ description: String) {
            self.description = description
        }
    }

    var mode = Mode.all
    var seeds: UInt64 = 10_000
    var first: UInt64 = 1
    var workers: UInt64 = 2
    /// Which part of the seeds a worker runs.
    var part: UInt64 = 0
    /// The seed at which an earlier process of this part crashed; zero if none did.
    var after: UInt64 = 0
    var isVerified = false

    init(_ arguments: some Sequence<String>) throws {
        var iterator = arguments.makeIterator()
        func number(_ name: String) throws -> UInt64 {
            guard let text = iterator.next(), let value = UInt64(text) else { throw Mistake("\(name) needs a number.") }
            return value
        }
        while let argument = iterator.next() {
            switch argument {
            case "--seed": mode = .one(try number(argument))
            case "--seeds": seeds = try number(argument)
            case "--first": first = try number(argument)
            case "--workers": workers = max(1, try number(argument))
            case "--worker":
                mode = .worker
                part = try number(argument)
            case "--after": after = try number(argument)
            case "--control": mode = .controls
            case "--verify": isVerified = true
            default: throw Mistake("There is no option '\(argument)'.")
            }
        }
    }

    /// The seeds of one worker.
    var ownSeeds: some Sequence<UInt64> {
        stride(from: first + part, to: first + seeds, by: Int(workers)).lazy.filter { $0 > after }
    }

    /// The arguments of a process that runs a part.
    func arguments(part: UInt64, after: UInt64) -> [String] {
        let numbers: [(String, UInt64)] = [
            ("--worker", part), ("--workers", workers), ("--seeds", seeds), ("--first", first), ("--after", after),
        ]
        return numbers.flatMap { [$0, "\($1)"] } + (isVerified ? ["--verify"] : [])
    }
}
