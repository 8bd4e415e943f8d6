import ChaosWork
import Foundation
import RedisStreams

/// A state in which a server answers and does not serve.
enum ServerState: String, CaseIterable, Sendable {
    /// At the memory limit, with a group that has a backlog.
    case outOfMemory
    /// At the memory limit, with a group that is still to be created.
    case outOfMemoryWithoutGroup
    case cannotSave, busyScript, loading, noReplicas, maxClients

    /// Whether a consumer can handle and acknowledge messages in this state.
    var allowsWork: Bool { self == .outOfMemory }

    /// Whether a group with a consumer exists before the state begins.
    var hasGroup: Bool { self != .outOfMemoryWithoutGroup }

    /// Whether another consumer starts during the state. One that is blocked in a read may not notice the state.
    var allowsBeginning: Bool { self != .outOfMemory && self != .maxClients }

    /// Whether the server answers `INFO` in this state.
    var allowsInfo: Bool { self != .busyScript }

    /// The settings that the server starts with.
    func settings(_ binary: ServerBinary) -> [[String]] {
        switch self {
        case .cannotSave: [["save", "3600 1"]]
        case .busyScript: [["lua-time-limit", "50"]]
        case .loading:
            [["save", "100000 1"], ["rdbcompression", "no"]] + (binary.isOld ? [] : [["enable-debug-command", "yes"]])
        default: []
        }
    }

    /// Brings the server into the state, for as long as `body` runs.
    func during(_ server: ChaosServer, _ redis: RedisClient, _ body: () async throws -> Void) async throws {
        switch self {
        case .outOfMemory, .outOfMemoryWithoutGroup:
            try await Self.setting("maxmemory", "1", back: "0", redis, body)
        case .noReplicas: try await Self.setting("min-replicas-to-write", "1", back: "0", redis, body)
        case .maxClients:
            try await Self.setting("maxclients", "1", back: "1000", redis) {
                // The limit does not end existing connections.
                try await redis.send("CLIENT", "KILL", "TYPE", "normal")
                try await body()
            }
        case .cannotSave: try await Self.failingToSave(server, redis, body)
        case .busyScript: try await Self.runningScript(server, redis, body)
        case .loading: try await Self.loading(server, redis, body)
        }
    }

    private static func setting(
        _ name: FieldValue,
        _ value: FieldValue,
        back: FieldValue,
        _ redis: RedisClient,
        _ body: () async throws -> Void
    ) async throws {
        try await redis.send("CONFIG", "SET", name, value)
        try await body()
        try await redis.send("CONFIG", "SET", name, back)
    }

    /// Makes saving fail: a folder has the name of the dump file.
    private static func failingToSave(
        _ server: ChaosServer,
        _ redis: RedisClient,
        _ body: () async throws -> Void
    ) async throws {
        let path = "\(server.folder)/dump.rdb"
        try FileManager.default.createDirectory(atPath: path + "/full", withIntermediateDirectories: true)
        try await save(redis, until: "err")
        try await body()
        try FileManager.default.removeItem(atPath: path)
        try await save(redis, until: "ok")
    }

    private static func save(_ redis: RedisClient, until status: String) async throws {
        try await redis.send("BGSAVE")
        try await eventually("saving ends with '\(status)'") {
            let info = try await redis.info("persistence")
            return info["rdb_bgsave_in_progress"] == "0" && info["rdb_last_bgsave_status"] == status
        }
    }

    private static func runningScript(
        _ server: ChaosServer,
        _ redis: RedisClient,
        _ body: () async throws -> Void
    ) async throws {
        var configuration = server.configuration(port: nil)
        configuration.connection.commandTimeout = .seconds(60)
        try await withRedisClient(configuration) { other in
            async let script = try? await other.eval("while true do end")
            try await eventually("the server is busy") {
                do throws(RedisError) {
                    _ = try await redis.xlen("none")
                    return false
                } catch {
                    return error.code == .busy
                }
            }
            try await body()
            try await redis.send("SCRIPT", "KILL")
            _ = await script
        }
    }

    private static func loading(
        _ server: ChaosServer,
        _ redis: RedisClient,
        _ body: () async throws -> Void
    ) async throws {
        // A server that loads answers only every 2 MB, and newer servers apply the delay to each key.
        try await redis.send("DEBUG", "POPULATE", "8000", "filler", "8000")
        try await redis.send("SAVE")
        try await redis.send("CONFIG", "SET", "key-load-delay", "400")
        var configuration = server.configuration(port: nil)
        configuration.connection.commandTimeout = .seconds(60)
        try await withRedisClient(configuration) { other in
            async let reloaded = try? await other.send("DEBUG", "RELOAD", "NOSAVE")
            try await eventually("the server loads") {
                do throws(RedisError) {
                    _ = try await redis.xlen("none")
                    return false
                } catch {
                    return error.code == .loading
                }
            }
            try await body()
            _ = await reloaded
        }
    }
}
