import ArgumentParser
import Foundation
import RedisStreams

/// The option `--url`, which all examples have.
package struct ServerOptions: ParsableArguments {
    @Option(
        name: .customLong("url"),
        help: ArgumentHelp(
            "The address of Redis.",
            discussion: """
                redis://[[user]:password@]host[:port][/database] or unix:///path/to.sock; for a cluster, some of its \
                nodes: redis+cluster://host:port,host:port; behind sentinels, some of these, and the name of the \
                master: redis+sentinel://host:port,host:port/name. Default: the environment variable REDIS_URL, which \
                keeps a password out of the list of processes, or else redis://127.0.0.1:6379.
                """
        )
    )
    private var option: String?

    package init() {}

    /// The address of Redis.
    package var url: String {
        if let option { return option }
        let variable = ProcessInfo.processInfo.environment["REDIS_URL"] ?? ""
        return variable.isEmpty ? "redis://127.0.0.1:6379" : variable
    }
}

/// Ends the program with exit code 1 and one sentence on stderr if `body` fails because of Redis.
package func explainingErrors(_ body: () async throws -> Void) async throws {
    do {
        try await body()
    } catch let error as RedisError {
        try? FileHandle.standardError.write(contentsOf: Data("error: \(error.message)\n".utf8))
        throw ExitCode.failure
    }
}

extension RedisClient {
    /// The server's name, version and address: `Redis 7.0.15 at 127.0.0.1:6379`. Of a cluster, those of some node. Throws
    /// if the server cannot be reached.
    package func introduction() async throws -> String {
        let info = try await info("server")
        let name = info.server == .valkey ? "Valkey" : "Redis"
        let version = info.version.map { " \($0)" } ?? ""
        let place =
            switch configuration.topology {
            case .single: "at \(configuration.connection.address)"
            case .sentinel(let master, _, _, _): "as the master '\(master)' of the sentinels"
            case .cluster: "as a cluster"
            }
        return "\(name)\(version) \(place)"
    }
}
