import ChaosWork
import Foundation
import RedisStreams

/// A master with two replicas, and three sentinels that monitor it.
struct SentinelGroup: Sendable {
    static let name = "chaos"

    let servers: [ChaosServer]
    private let sentinels: [Int]
    /// Clients of the sentinels, and of the servers by their Unix sockets.
    private let sentinelClients: [RedisClient]
    private let controllers: [RedisClient]

    /// Runs `body` with the group, as soon as the sentinels know all of it.
    static func with<Result: Sendable>(
        _ binary: ServerBinary,
        _ settings: [[String]],
        _ body: (SentinelGroup) async throws -> Result
    ) async throws -> Result {
        let usual = [["repl-diskless-sync-delay", "0"]] + settings
        return try await ChaosServer.with(binary, usual) { first in
            let replica = usual + [["replicaof", "127.0.0.1", "\(first.port)"]]
            return try await ChaosServer.with(binary, replica) { second in
                try await ChaosServer.with(binary, replica) { third in
                    try await with(binary, [first, second, third], body)
                }
            }
        }
    }

    private static func with<Result: Sendable>(
        _ binary: ServerBinary,
        _ servers: [ChaosServer],
        _ body: (SentinelGroup) async throws -> Result
    ) async throws -> Result {
        var ports: [Int] = []
        var processes: [ChildProcess] = []
        for _ in 0..<3 {
            let port = try await FreePort.find()
            processes.append(try start(binary, port: port, monitoring: servers[0]))
            ports.append(port)
        }
        let clients = try ports.map {
            try RedisClient(RedisClient.Configuration(address: .tcp(host: "127.0.0.1", port: $0)))
        }
        let controllers = try servers.map { try RedisClient($0.configuration(port: nil)) }
        let running = Task {
            await withTaskGroup(of: Void.self) { group in
                for client in clients + controllers { group.addTask { try? await client.run() } }
            }
        }
        let group = SentinelGroup(
            servers: servers,
            sentinels: ports,
            sentinelClients: clients,
            controllers: controllers
        )
        let result: Swift.Result<Result, any Error>
        do {
            try await group.settled()
            result = .success(try await body(group))
        } catch {
            result = .failure(error)
        }
        running.cancel()
        await running.value
        for process in processes { try await process.terminate() }
        return try result.get()
    }

    private static func start(_ binary: ServerBinary, port: Int, monitoring server: ChaosServer) throws -> ChildProcess
    {
        let file = "\(server.folder)/sentinel-\(port).conf"
        let lines = [
            "port \(port)", "bind 127.0.0.1", "dir \(server.folder)", "daemonize no",
            "sentinel monitor \(name) 127.0.0.1 \(server.port) 2",
            "sentinel down-after-milliseconds \(name) 500",
            "sentinel failover-timeout \(name) 3000",
            "sentinel parallel-syncs \(name) 2",
        ]
        try Data(lines.joined(separator: "\n").utf8).write(to: URL(fileURLWithPath: file))
        return try ChildProcess([binary.path, file, "--sentinel"], log: "\(server.folder)/sentinel-\(port).log")
    }

    // MARK: State

    /// A configuration of a client that asks the sentinels.
    var configuration: RedisClient.Configuration {
        var configuration = RedisClient.Configuration()
        configuration.topology = .sentinel(
            master: Self.name,
            sentinels: sentinels.map { .tcp(host: "127.0.0.1", port: $0) }
        )
        return configuration
    }

    /// The number of the server that one of the sentinels names; `nil` if it does not answer.
    private func master(by sentinel: RedisClient) async -> Int? {
        guard let reply = try? await sentinel.send("SENTINEL", "GET-MASTER-ADDR-BY-NAME", .text(Self.name)),
            let port = reply.array?.dropFirst().first?.integer
        else { return nil }
        return servers.firstIndex { $0.port == port }
    }

    /// The number of the master, in which all sentinels agree; `nil` if they do not.
    func master() async -> Int? {
        var named: Set<Int?> = []
        for client in sentinelClients { named.insert(await master(by: client)) }
        return named.count == 1 ? named.first ?? nil : nil
    }

    /// Whether most of the sentinels name this server.
    func isNamed(_ server: Int) async -> Bool {
        var count = 0
        for client in sentinelClients where await master(by: client) == server { count += 1 }
        return count * 2 > sentinelClients.count
    }

    /// Waits until any sentinel names another master than this one. Returns which.
    func switched(from old: Int) async throws -> Int {
        var new: Int?
        try await eventually("a sentinel names another master", within: .seconds(30), every: .milliseconds(10)) {
            for client in sentinelClients {
                if let named = await master(by: client), named != old { new = named }
            }
            return new != nil
        }
        guard let new else { throw Failure("There is no master.") }
        return new
    }

    /// Waits until all sentinels agree on the master, which is one, and the other servers replicate it.
    func settled() async throws {
        try await eventually("two servers replicate the master", within: .seconds(40), every: .milliseconds(50)) {
            guard let master = await master() else { return false }
            for (number, controller) in controllers.enumerated() {
                guard let role = try? await controller.execute(ROLE()) else { return false }
                switch role {
                case .master where number == master: continue
                case .replica(_, servers[master].port, "connected") where number != master: continue
                default: return false
                }
            }
            for client in sentinelClients {
                guard let state = try? await client.send("SENTINEL", "MASTER", .text(Self.name)).array.map(Array.init)
                else {
                    return false
                }
                let words = state.map { $0.string ?? "" }
                guard value("flags", words) == "master", value("num-slaves", words) == "2",
                    value("num-other-sentinels", words) == "2"
                else { return false }
            }
            return true
        }
    }

    private func value(_ name: String, _ words: [String]) -> String? {
        words.firstIndex(of: name).flatMap { words.indices.contains($0 + 1) ? words[$0 + 1] : nil }
    }

    /// Has a sentinel make another server the master, although nothing is wrong with the present one.
    func failOver() async throws {
        // It may refuse for a moment: it has not heard from the replicas lately enough.
        try await eventually("a sentinel begins a failover", within: .seconds(20), every: .milliseconds(200)) {
            (try? await sentinelClients[0].send("SENTINEL", "FAILOVER", .text(Self.name))) != nil
        }
    }

    /// The client that controls a server.
    func controller(_ number: Int) -> RedisClient { controllers[number] }
}
