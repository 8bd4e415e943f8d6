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

/// A private server in a temporary folder, on a free port and a Unix socket.
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

    /// Runs `body` with a server.
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

    /// Tries another port if another process has taken the first one.
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

    // MARK: Start and end

    /// Starts the program, always on the same port and with the same data, and waits until it answers.
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

    /// What the server has logged.
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

    /// Stops the process, which keeps its connections open, or lets it continue.
    func setStopped(_ isStopped: Bool) { process.withLock { $0?.send(isStopped ? SIGSTOP : SIGCONT) } }

    // MARK: Clients

    /// A client's configuration for the server: by TCP at `port`, which may be that of a proxy, or by the Unix socket.
    func configuration(port: Int?) -> RedisClient.Configuration {
        RedisClient.Configuration(
            address: port.map { .tcp(host: "127.0.0.1", port: $0) } ?? .unixSocket(path: "\(folder)/socket")
        )
    }

    /// Runs `body` with a client by TCP. It reconnects soon after a failure.
    ///
    /// - Parameter port: The port of a proxy; `nil` for that of the server.
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

    /// Runs `body` with a client whose connections go through `proxy`, and with a client that controls the server.
    func withClients<Result: Sendable>(
        through proxy: ChaosProxy,
        name: String? = nil,
        _ body: (_ redis: RedisClient, _ controller: RedisClient) async throws -> Result
    ) async throws -> Result {
        try await withController { controller in
            try await withClient(port: proxy.port, name: name) { redis in try await body(redis, controller) }
        }
    }

    /// Runs `body` with a client that controls and inspects the server. It uses the Unix socket, apart from the clients
    /// under test.
    func withController<Result: Sendable>(_ body: (RedisClient) async throws -> Result) async throws -> Result {
        var configuration = configuration(port: nil)
        configuration.connection.clientName = "controller"
        configuration.backoff.limit = .milliseconds(100)
        return try await withRedisClient(configuration, body)
    }
}

/// Ports on which no process listens, and which the system does not use for outgoing connections.
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
