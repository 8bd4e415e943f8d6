import Foundation
import Synchronization
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A process that does not outlive this one, however this one ends.
///
/// A shell starts it, and leaves a guard shell running, which reads from a pipe whose other end this process holds.
/// When the pipe closes, the guard shell kills the process.
final class ChildProcess: Sendable {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    let pid: pid_t
    /// The end of the pipe that this process holds; `nil` once the child has been waited for.
    private let pipeEnd: Mutex<CInt?>

    private static let script = """
        folder=$1; shift
        exec 3<&0
        { read -r word || { kill -9 $$; [ -z "$folder" ] || rm -rf "$folder"; }; } <&3 3<&- >/dev/null 2>&1 &
        exec "$@" </dev/null 3<&-
        """

    /// Held while a pipe could be inherited by another child.
    private static let spawning: Mutex<Void> = {
        signal(SIGPIPE, SIG_IGN)
        return Mutex(())
    }()

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - arguments: Its path, and its arguments.
    ///   - log: The file that gets what it prints.
    ///   - folder: Removed with the process if this one ends first.
    init(_ arguments: [String], log: String, removing folder: String = "") throws {
        let (pid, pipeEnd) = try Self.start(arguments, log: log, removing: folder)
        self.pid = pid
        self.pipeEnd = Mutex(pipeEnd)
    }

    private static func start(_ arguments: [String], log: String, removing folder: String) throws -> (pid_t, CInt) {
        try spawning.withLock { _ throws in
            var ends: [CInt] = [-1, -1]
            guard unsafe pipe(&ends) == 0 else { throw Failure(description: "No pipe could be made.") }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            defer { close(ends[0]) }
            do {
                let pid = try spawn(["/bin/sh", "-c", script, "sh", folder] + arguments, input: ends[0], log: log)
                return (pid, ends[1])
            } catch {
                close(ends[1])
                throw error
            }
        }
    }

    private static func spawn(_ arguments: [String], input: CInt, log: String) throws -> pid_t {
        #if canImport(Darwin)
        var actions: posix_spawn_file_actions_t?
        #else
        var actions = unsafe posix_spawn_file_actions_t()
        #endif
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, input, 0)
        unsafe posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        unsafe posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var pointers = unsafe arguments.map { unsafe strdup($0) } + [nil]
        defer { unsafe pointers.forEach { unsafe free($0) } }
        var pid = pid_t()
        let status = unsafe posix_spawn(&pid, arguments[0], &actions, nil, &pointers, environ)
        guard status == 0 else { throw Failure(description: "\(arguments[0]) could not be started: errno \(status).") }
        return pid
    }

    deinit {
        guard hasExited == false else { return }
        send(SIGKILL)
        waitpid(pid, nil, 0)
        release()
    }

    /// Whether the process has ended.
    var hasExited: Bool {
        pipeEnd.withLock { pipeEnd in
            guard let end = pipeEnd else { return true }
            guard waitpid(pid, nil, WNOHANG) != 0 else { return false }
            Self.endGuardShell(end)
            pipeEnd = nil
            return true
        }
    }

    /// Sends a signal, if the process has not ended.
    func send(_ number: CInt) {
        pipeEnd.withLock { pipeEnd in
            if pipeEnd != nil { _ = kill(pid, number) }
        }
    }

    /// Kills the process and waits for its end.
    func terminate() async throws {
        send(SIGKILL)
        try await eventually("the process ends") { self.hasExited }
    }

    /// Kills a process that this one did not start.
    static func end(_ other: pid_t) { _ = kill(other, SIGKILL) }

    private func release() {
        pipeEnd.withLock { pipeEnd in
            if let end = pipeEnd.take() { Self.endGuardShell(end) }
        }
    }

    /// Ends the guard shell, which exits without killing once it has read a line.
    private static func endGuardShell(_ pipeEnd: CInt) {
        unsafe [UInt8(ascii: "\n")].withUnsafeBytes { _ = unsafe write(pipeEnd, $0.baseAddress, $0.count) }
        close(pipeEnd)
    }
}
