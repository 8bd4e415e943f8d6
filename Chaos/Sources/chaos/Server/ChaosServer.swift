import ChaosWork
import Foundation
import NIOCore
import NIOPosix
import RedisStreams
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A server of its own, in a temporary folder, on a free port and on a Unix socket.
final class ChaosServer: Sendable {
    let binary: ServerBinary
    let port: Int
    let folder: String
    private let settings: [[String]]
    private let process = Mutex<ChildProcess?>(nil)

    /// The settings with which a confirmed write survives `kill -9`.
    static let durable = [["appendonly", "yes"], ["appendfsync", "always"]]

    private init(_ binary: ServerBinary, _ settings: [[String]]) async throws {
        self.binary = binary
        self.settings = settings
        port = try await FreePort.find()
        folder = "/tmp/redis-streams-chaos-\(UInt64.random(in: 0...UInt64.max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    }

    /// A server for as long as `body` runs.
    ///
    /// - Parameter settings: Lines of `redis.conf`, each with its arguments.
    static func with<Result>(
        _ binary: ServerBinary,
        _ settings: [[String]] = [],
        _ body: (ChaosServer) async throws -> Result
    ) async throws -> Result {
        let server = try await started(binary, settings)
        do {
            let result = try await body(server)
            await server.remove()
            return result
        } catch {
            await server.remove()
            throw error
        }
    }

    /// Tries another port when somebody was faster.
    private static func started(_ binary: ServerBinary, _ settings: [[String]]) async throws -> ChaosServer {
        for _ in 0..<10 {
            let server = try await ChaosServer(binary, settings)
            do {
                try await server.launch()
                return server
            } catch {
                let isTaken = server.log.contains("Address already in use")
                await server.remove()
                if !isTaken { throw error }
            }
        }
        throw Failure("\(binary.name) finds no free port.")
    }

    private func remove() async {
        try? await kill()
        try? FileManager.default.removeItem(atPath: folder)
    }

    // MARK: Life

    /// Starts the program, on the same port and with the same data, and waits until it answers.
    func launch() async throws {
        let child = try ChildProcess(arguments, log: "\(folder)/log", removing: folder)
        process.withLock { $0 = child }
        var configuration = configuration(port: nil)
        configuration.backoff.limit = .milliseconds(50)
        configuration.acquireTimeout = .milliseconds(500)
        try await withRedisClient(configuration) { redis in
            try await eventually("\(binary.name) answers", within: .seconds(60)) {
                if child.hasExited { throw Failure("\(binary.name) ended at once: \(log.suffix(2000))") }
                return (try? await redis.ping()) != nil
            }
        }
    }

    /// What the server has said.
    var log: String { (try? String(contentsOfFile: "\(folder)/log", encoding: .utf8)) ?? "" }

    private var arguments: [String] {
        let basic = [
            ["port", "\(port)"], ["bind", "127.0.0.1"], ["unixsocket", "\(folder)/socket"], ["dir", folder],
            ["save", ""], ["daemonize", "no"], ["databases", "16"],
        ]
        return [binary.path] + (basic + settings).flatMap { ["--\($0[0])"] + $0.dropFirst() }
    }

    /// Ends the server as `kill -9` does.
    func kill() async throws {
        try await process.withLock { $0.take() }?.terminate()
    }

    // MARK: Clients

    /// A client's configuration for the server: by TCP at `port`, which may be that of a proxy, or by the Unix socket.
    func configuration(port: Int?) -> RedisClient.Configuration {
        RedisClient.Configuration(
            address: port.map { .tcp(host: "127.0.0.1", port: $0) } ?? .unixSocket(path: "\(folder)/socket")
        )
    }

    /// A client by TCP, for as long as `body` runs. It comes back soon after a failure.
    ///
    /// - Parameter port: That of a proxy; `nil` for the server's own.
    func withClient<Result: Sendable>(
        port: Int? = nil,
        name: String? = nil,
        _ configure: (inout RedisClient.Configuration) -> Void = { _ in },
        _ body: (RedisClient) async throws -> Result
    ) async throws -> Result {
        var configuration = configuration(port: port ?? self.port)
        configuration.connection.clientName = name
        configuration.backoff.limit = .milliseconds(200)
        configure(&configuration)
        return try await withRedisClient(configuration, body)
    }

    /// A client by the Unix socket, which stays out of the way of those that are looked at.
    func withController<Result: Sendable>(_ body: (RedisClient) async throws -> Result) async throws -> Result {
        var configuration = configuration(port: nil)
        configuration.connection.clientName = "controller"
        configuration.backoff.limit = .milliseconds(100)
        return try await withRedisClient(configuration, body)
    }
}

/// Ports that nobody listens on, and that the system gives to no outgoing connection.
enum FreePort {
    static func find() async throws -> Int {
        while true {
            let port = Int.random(in: 12_000..<32_000)
            let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            if let channel = try? await bootstrap.bind(host: "127.0.0.1", port: port).get() {
                try await channel.close()
                return port
            }
        }
    }
}
