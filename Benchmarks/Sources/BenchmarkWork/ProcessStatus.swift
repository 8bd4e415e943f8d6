import Foundation

/// What the kernel says about this process.
package struct ProcessStatus {
    /// Resident memory in bytes.
    package let resident: Int
    package let threads: Int

    /// Reads the current state.
    package init() throws {
        guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else {
            throw Failure("Memory and threads are read from /proc/self/status, which is there on Linux only.")
        }
        var values: [Substring: Int] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(whereSeparator: { $0 == ":" || $0 == "\t" || $0 == " " })
            if words.count > 1, let value = Int(words[1]) { values[words[0]] = value }
        }
        guard let kibibytes = values["VmRSS"], let threads = values["Threads"] else {
            throw Failure("/proc/self/status has no VmRSS or Threads.")
        }
        resident = kibibytes * 1024
        self.threads = threads
    }
}
