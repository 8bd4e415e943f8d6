import Foundation

/// A program that is run to its end.
struct ChildProcess {
    let executable: URL
    let arguments: [String]

    /// A program that was built beside this one.
    init(_ name: String, _ arguments: [String]) throws {
        guard let own = Bundle.main.executableURL else { throw Failure("The path of this executable is not known.") }
        executable = own.deletingLastPathComponent().appending(path: name)
        self.arguments = arguments
        guard FileManager.default.isExecutableFile(atPath: executable.path) else {
            throw Failure("There is no \(executable.path): build all of Benchmarks, not just one product.")
        }
    }

    /// Returns what it printed. What it wrote to standard error goes to ours.
    func output() async throws -> Data {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = executable
        process.arguments = arguments
        process.standardOutput = pipe
        // The output is a line, which fits into the pipe: it is read when the process has ended.
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            process.terminationHandler = { _ in continuation.resume() }
            do {
                try Self.withoutBlockedSignals { try process.run() }
            } catch {
                continuation.resume(throwing: error)
            }
        }
        guard process.terminationReason == .exit, process.terminationStatus == 0 else {
            throw Failure("\(name) \(Self.ending(of: process)).")
        }
        return pipe.fileHandleForReading.readDataToEndOfFile()
    }

    /// A process inherits the signals that its parent's thread blocks, and the threads of tasks block nearly all: then
    /// neither its time limit nor Ctrl-C would end it.
    private static func withoutBlockedSignals(_ body: () throws -> Void) rethrows {
        var none = sigset_t()
        var blocked = sigset_t()
        _ = unsafe sigemptyset(&none)
        _ = unsafe pthread_sigmask(SIG_SETMASK, &none, &blocked)
        defer { _ = unsafe pthread_sigmask(SIG_SETMASK, &blocked, nil) }
        try body()
    }

    private var name: String { "'\(([executable.lastPathComponent] + arguments).joined(separator: " "))'" }

    private static func ending(of process: Process) -> String {
        guard process.terminationReason == .uncaughtSignal else { return "ended with \(process.terminationStatus)" }
        if process.terminationStatus == SIGALRM { return "was not done in time" }
        return "was ended by signal \(process.terminationStatus)"
    }
}
