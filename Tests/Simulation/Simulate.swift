import Glibc

/// Runs whole consumers and producers against `InMemoryRedis`, on one thread and a clock of its own, with faults that a
/// seed draws, and says what was promised and is not so.
///
///     simulate                       all seeds, in two processes
///     simulate --seeds 1000          fewer
///     simulate --seed 4711           one, with a trace of what happened
///     simulate --control             with something left out: the checker has to find it
///     simulate --verify              each seed twice: both runs have to be the same
@main
struct Simulate {
    static func main() {
        do {
            let options = try Options(CommandLine.arguments.dropFirst())
            repeatWithFixedHashing()
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

    /// Sets and dictionaries are in another order in every process, unless this is set before it begins.
    private static func repeatWithFixedHashing() {
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
