import Glibc

/// Runs whole consumers and producers against `InMemoryRedis`, on one thread and a clock of its own, with faults that a
/// seed draws, and reports each invariant that was violated.
///
///     simulate                       all seeds, in two processes
///     simulate --seeds 1000          fewer
///     simulate --seed 4711           one, with a trace of what happened
///     simulate --control             control runs: the checker has to find each deliberate mistake
///     simulate --verify              each seed twice: both runs have to be the same
@main
struct Simulate {
    static func main() {
        do {
            let options = try Options(CommandLine.arguments.dropFirst())
            restartWithFixedHashing()
            guard ConcurrencyHooks.install() else {
                throw Options.Mistake("This toolchain has no hooks for executors.")
            }
            let isGood: Bool
            switch options.mode {
            case .one(let seed): isGood = Runner(options).runOne(seed)
            case .controls: isGood = Runner(options).runControls()
            case .worker: isGood = Runner(options).runWorker()
            case .all: isGood = try Runner(options).runAll()
            }
            exit(isGood ? 0 : 1)
        } catch {
            print("error: \(error)")
            exit(2)
        }
    }

    /// Starts the program again with an environment variable without which every process orders sets and dictionaries
    /// in its own way.
    private static func restartWithFixedHashing() {
        let name = "SWIFT_DETERMINISTIC_HASHING"
        guard unsafe getenv(name) == nil else { return }
        unsafe setenv(name, "1", 1)
        var arguments = unsafe CommandLine.arguments.map { unsafe strdup($0) }
        unsafe arguments.append(nil)
        _ = unsafe execv("/proc/self/exe", &arguments)
        print("error: could not start again with \(name)")
        exit(2)
    }
}
