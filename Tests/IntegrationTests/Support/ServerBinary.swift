import Foundation
import RedisStreams
import Testing

/// A server program that the tests run on.
struct ServerBinary: Sendable, Hashable, CustomTestStringConvertible {
    let name: String
    let path: String

    var testDescription: String { name }

    /// Why the program cannot be started; `nil` if it is there.
    var fault: String? {
        if path.isEmpty { return "\(name) has no path. \(Self.advice)" }
        if !FileManager.default.isExecutableFile(atPath: path) {
            return "There is no program at \(path) for \(name). \(Self.advice)"
        }
        return nil
    }

    private static let advice =
        "Set REDIS_STREAMS_SERVERS to name=path,… or install redis-server; `make test` and `make test-matrix` do so."

    /// The servers of `REDIS_STREAMS_SERVERS`, or else those on the `PATH`. Never empty: a missing one fails when
    /// started.
    static let all: [ServerBinary] = {
        if let list = ProcessInfo.processInfo.environment["REDIS_STREAMS_SERVERS"] { return parse(list) }
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        let found = ["redis-server", "valkey-server"].compactMap { program in
            folders.lazy.map { "\($0)/\(program)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
                .map { ServerBinary(name: program, path: $0) }
        }
        return found.isEmpty ? [ServerBinary(name: "redis-server", path: "")] : found
    }()

    private static func parse(_ list: String) -> [ServerBinary] {
        let entries = list.split(separator: ",").map { entry in
            let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return ServerBinary(name: String(parts[0]), path: parts.count > 1 ? String(parts[1]) : "")
        }
        return entries.isEmpty ? [ServerBinary(name: "REDIS_STREAMS_SERVERS", path: "")] : entries
    }

    /// The servers that were built with TLS: only their programs contain this message.
    static let withTLS: [ServerBinary] = all.filter { binary in
        let program = try? Data(contentsOf: URL(fileURLWithPath: binary.path), options: .alwaysMapped)
        return program?.range(of: Data("Failed to load certificate".utf8)) != nil
    }
}
