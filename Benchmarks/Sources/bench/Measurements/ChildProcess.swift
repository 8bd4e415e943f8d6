import BenchmarkWork
import Foundation

/// A program that is run to its end.
struct ChildProcess {
    let executable: URL
    let arguments: [String]

    /// A program that was built beside this one.
    init(built name: String, _ arguments: [String]) throws {
        guard let own = Bundle.main.executableURL else { throw Failure("The path of this executable is not known.") }
        executable = own.deletingLastPathComponent().appending(path: name)
        self.arguments = arguments
        guard FileManager.default.isExecutableFile(atPath: executable.path) else {
            throw Failure("There is no \(executable.path): build all of Benchmarks, not just one product.")
        }
    }

    /// A program of the system or of another package.
    init(executable: URL, _ arguments: [String]) {
        self.executable = executable
        self.arguments = arguments
    }

    /// Runs the program, and returns the report that it prints.
    func report() async throws -> RunReport {
        let output = try await output()
        guard let report = try? JSONDecoder().decode(RunReport.self, from: output) else {
            throw Failure("\(name) did not report what it did.")
        }
        return report
    }

    /// Runs the program, and returns what it prints. Its standard error is that of this process.
    func output() async throws -> Data {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = executable
        process.arguments = arguments
        process.standardOutput = pipe
        async let printed = Self.contents(of: pipe.fileHandleForReading)
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            process.terminationHandler = { _ in continuation.resume() }
            do {
                try Self.withoutBlockedSignals { try process.run() }
            } catch {
                // Otherwise the reader would wait for the end of the output.
                try? pipe.fileHandleForWriting.close()
                continuation.resume(throwing: error)
            }
        }
        guard process.terminationReason == .exit, process.terminationStatus == 0 else {
            throw Failure("\(name) \(Self.ending(of: process)).")
        }
        return await printed
    }

    /// Reads on its own thread while the process runs, which would block for ever if its output filled the pipe.
    private static func contents(of file: FileHandle) async -> Data {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: file.readDataToEndOfFile()) }
        }
    }

    /// A process inherits the signals that its parent's thread blocks, and the threads of tasks block nearly all.
    /// Without this, neither its time limit nor Ctrl-C would end it.
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
