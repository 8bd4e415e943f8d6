import Foundation
import NIOCore
import NIOPosix
import RedisStreams
import Synchronization
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A private server in a temporary folder, on a free port and a Unix socket.
final class TestServer: Sendable {
    /// How a server is started.
    struct Options: Sendable {
        /// Lines of `redis.conf`, each with its arguments.
        var settings: [[String]] = []
        /// Whether every confirmed write survives `kill -9`.
        var isDurable = false
        /// The certificate of the TLS port; `nil` for no TLS.
        var certificate: TestCertificates.Certificate?
    }

    static var all: [ServerBinary] { ServerBinary.all }

    let binary: ServerBinary
    let port: Int
    let tlsPort: Int?
    let folder: String
    private let options: Options
    private let process: Mutex<ChildProcess?>

    var socketPath: String { "\(folder)/socket" }

    private init(_ binary: ServerBinary, _ options: Options) async throws {
        if let fault = binary.fault { throw ChildProcess.Failure(description: fault) }
        self.binary = binary
        self.options = options
        port = try await Self.freePort()
        tlsPort = options.certificate == nil ? nil : try await Self.freePort()
        folder = "/tmp/redis-streams-\(UInt64.random(in: 0...UInt64.max))"
        process = Mutex(nil)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        do {
            try await launch()
        } catch {
            try? FileManager.default.removeItem(atPath: folder)
            throw error
        }
    }

    /// A port on which no process listens, and which the system does not use for outgoing connections.
    private static func freePort() async throws -> Int {
        while true {
            let port = Int.random(in: 20_000..<32_000)
            let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            if let channel = try? await bootstrap.bind(host: "127.0.0.1", port: port).get() {
                try await channel.close()
                return port
            }
        }
    }

    // MARK: Scopes

    private static let sharedServers = Mutex<[ServerBinary: Task<TestServer, any Error>]>([:])

    /// The one server of this kind that most tests share. It ends with the process.
    static func shared(_ binary: ServerBinary) async throws -> TestServer {
        let task = sharedServers.withLock { servers in
            if let task = servers[binary] { return task }
            let task = Task { try await TestServer(binary, Options()) }
            servers[binary] = task
            return task
        }
        return try await task.value
    }

    /// Runs `body` with its own server.
    @discardableResult
    static func withOwn<Result>(
        _ binary: ServerBinary,
        _ options: Options = Options(),
        _ body: (TestServer) async throws -> Result
    ) async throws -> Result {
        let server = try await TestServer(binary, options)
        do {
            let result = try await body(server)
            await server.remove()
            return result
        } catch {
            await server.remove()
            throw error
        }
    }

    private func remove() async {
        try? await kill()
        try? FileManager.default.removeItem(atPath: folder)
    }

    // MARK: Start and end

    /// Starts the program, and waits until it answers.
    private func launch() async throws {
        let child = try ChildProcess(arguments, log: "\(folder)/log", removing: folder)
        process.withLock { $0 = child }
        var configuration = configuration(.unix)
        configuration.acquireTimeout = .milliseconds(500)
        configuration.connection.password = requiredPassword.map { Password($0) }
        try await eventually("\(binary.name) answers") { [configuration] in
            if child.hasExited {
                let log = (try? String(contentsOfFile: "\(folder)/log", encoding: .utf8)) ?? ""
                throw ChildProcess.Failure(description: "\(binary.name) ended at once: \(log.suffix(3000))")
            }
            return (try? await withRedisClient(configuration) { try await $0.ping() }) != nil
        }
    }

    private var requiredPassword: String? { options.settings.first { $0.first == "requirepass" }?.last }

    private var arguments: [String] {
        var settings = [
            ["port", "\(port)"], ["bind", "127.0.0.1"], ["unixsocket", socketPath], ["dir", folder], ["save", ""],
            ["daemonize", "no"], ["databases", "16"],
        ]
        if options.isDurable { settings += [["appendonly", "yes"], ["appendfsync", "always"]] }
        if let certificate = options.certificate, let tlsPort {
            settings += [
                ["tls-port", "\(tlsPort)"], ["tls-cert-file", certificate.file], ["tls-key-file", certificate.keyFile],
                ["tls-ca-cert-file", certificate.authorityFile], ["tls-auth-clients", "no"],
            ]
        }
        return [binary.path]
            + (settings + options.settings).flatMap { ["--\($0[0])"] + $0.dropFirst() }
    }

    /// Ends the server as `kill -9` does.
    func kill() async throws {
        try await process.withLock { $0.take() }?.terminate()
    }

    /// Starts the server again, on the same port and with the same data.
    func restart() async throws {
        try await launch()
    }

    /// Stops the server's process: connections stay open, and the server does not answer.
    func pause() { process.withLock { $0?.send(SIGSTOP) } }

    /// Continues a paused server.
    func resume() { process.withLock { $0?.send(SIGCONT) } }

    // MARK: Clients

    func configuration(_ route: Route) -> RedisClient.Configuration {
        switch route {
        case .tcp: RedisClient.Configuration(address: .tcp(host: "127.0.0.1", port: port))
        case .unix: RedisClient.Configuration(address: .unixSocket(path: socketPath))
        }
    }

    /// Runs `body` with a client.
    @discardableResult
    func withClient<Result: Sendable>(
        _ route: Route = .tcp,
        _ configure: (inout RedisClient.Configuration) -> Void = { _ in },
        _ body: (RedisClient) async throws -> Result
    ) async throws -> Result {
        var configuration = configuration(route)
        configure(&configuration)
        return try await withRedisClient(configuration, body)
    }
}

/// The way to a server.
enum Route: String, Sendable, CaseIterable, CustomTestStringConvertible {
    case tcp, unix

    var testDescription: String { rawValue }
}

extension StreamKey {
    /// A key that no other test uses.
    static func unique(_ name: String = "stream") -> StreamKey {
        StreamKey("\(name)-\(UInt64.random(in: 0...UInt64.max))")
    }
}
