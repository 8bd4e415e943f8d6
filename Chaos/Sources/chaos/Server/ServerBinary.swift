import ChaosWork
import Foundation

/// A server program that cases run on.
struct ServerBinary: Sendable, Hashable {
    let name: String
    let path: String

    init(name: String, path: String) {
        self.name = name
        self.path = path
    }

    /// `nil` if it is not `NAME=PATH`.
    init?(_ text: some StringProtocol) {
        let parts = String(text).split(separator: "=", maxSplits: 1).map(String.init)
        guard parts.count == 2 else { return nil }
        self.init(name: parts[0], path: parts[1])
    }

    func check() throws {
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw Failure("There is no program at \(path) for \(name). `make chaos` fetches all servers.")
        }
    }

    /// The servers of `REDIS_STREAMS_SERVERS`, or else those on the `PATH`. For a missing one, `check()` throws.
    static var installed: [ServerBinary] {
        let environment = ProcessInfo.processInfo.environment
        if let list = environment["REDIS_STREAMS_SERVERS"], !list.isEmpty {
            return list.split(separator: ",").map { ServerBinary($0) ?? ServerBinary(name: String($0), path: "") }
        }
        let folders = (environment["PATH"] ?? "").split(separator: ":")
        let found = ["redis-server", "valkey-server"].compactMap { program in
            folders.lazy.map { "\($0)/\(program)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
                .map { ServerBinary(name: program, path: $0) }
        }
        return found.isEmpty ? [ServerBinary(name: "redis-server", path: "redis-server")] : found
    }

    /// Whether it is Redis 6.2, which does not know some settings.
    var isOld: Bool { name.contains("6.2") }
}
