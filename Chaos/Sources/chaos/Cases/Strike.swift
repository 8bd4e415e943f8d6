import ChaosWork
import Foundation
import RedisStreams

/// What others may do to a stream, a group or a connection while a consumer uses it.
enum Strike: String, CaseIterable, Sendable {
    case del, unlink, flushAll, flushDatabaseAsync, rename, expire, swapDatabases, setOverKey, destroyGroup, setIDBack
    case deletePending, trim, trimPending, deleteConsumer, deleteHolder, killConnections, killReader, unblock
    case unblockWithError, loseReply, flushScripts, demote, claimFromVictim, claimForVictim

    /// Whether the key no longer holds a stream. A consumer then has to throw an error.
    var isFinal: Bool { self == .setOverKey }

    /// Strikes at the only consumer of the stream, `victim`, whose connections have the same name.
    func strike(_ redis: RedisClient, _ stream: StreamKey, at victim: String) async throws {
        let key = FieldValue.text(stream.rawValue)
        switch self {
        case .del: try await redis.del(stream)
        case .unlink: try await redis.send("UNLINK", key)
        case .flushAll: try await redis.send("FLUSHALL")
        case .flushDatabaseAsync: try await redis.send("FLUSHDB", "ASYNC")
        case .rename: try await redis.send("RENAME", key, .text("\(stream)-renamed"))
        case .expire: try await expire(redis, key)
        case .swapDatabases: try await redis.send("SWAPDB", "0", "1")
        case .setOverKey: try await redis.send("SET", key, "no stream")
        case .destroyGroup: try await redis.xgroupDestroy(stream, group: Consumers.group)
        case .setIDBack: try await redis.xgroupSetID(stream, group: Consumers.group, to: .beginning)
        case .deletePending: try await redis.xdel(stream, ids: try await Self.hold(redis, stream, count: 1))
        case .trim: try await redis.xtrim(stream, .exactly(maxLength: 0))
        case .trimPending:
            _ = try await Self.hold(redis, stream, count: 3)
            try await redis.xtrim(stream, .exactly(maxLength: 1))
        case .deleteConsumer: try await redis.xgroupDelConsumer(stream, group: Consumers.group, consumer: victim)
        case .deleteHolder:
            _ = try await Self.hold(redis, stream, count: 2)
            try await redis.xgroupDelConsumer(stream, group: Consumers.group, consumer: Self.holder)
        case .killConnections: try await redis.send("CLIENT", "KILL", "TYPE", "normal")
        case .killReader:
            for id in try await redis.connections(of: victim) { try await redis.clientKill(id: id) }
        case .unblock:
            for id in try await redis.connections(of: victim) { try await redis.clientUnblock(id: id) }
        case .unblockWithError:
            for id in try await redis.connections(of: victim) {
                try await redis.clientUnblock(id: id, reason: .error)
            }
        case .loseReply: try await loseReply(redis, stream, victim)
        case .flushScripts: try await redis.send("SCRIPT", "FLUSH")
        case .demote: try await demote(redis)
        case .claimFromVictim: try await claimFromVictim(redis, stream, victim)
        case .claimForVictim: try await claimForVictim(redis, stream, victim)
        }
    }

    // MARK: Strikes of several steps

    private func expire(_ redis: RedisClient, _ key: FieldValue) async throws {
        try await redis.send("PEXPIRE", key, "1")
        // The key is gone, or a producer has created it again without an expiry.
        try await eventually("it has expired") { try await redis.send("PTTL", key).integer ?? 0 < 0 }
    }

    /// The server answers a blocked read, and closes the connection before it sends the reply.
    private func loseReply(_ redis: RedisClient, _ stream: StreamKey, _ victim: String) async throws {
        guard let reader = try await redis.connections(of: victim, blocked: true).first else { return }
        _ = try await redis.transaction(
            XADD(stream, ["n": 0]),
            RawCommand("CLIENT", "KILL", "ID", .text("\(reader)"))
        )
    }

    private func demote(_ redis: RedisClient) async throws {
        // No server listens on this port.
        try await redis.send("REPLICAOF", "127.0.0.1", "1")
        try await Task.sleep(for: .milliseconds(50))
        try await redis.send("REPLICAOF", "NO", "ONE")
    }

    /// An operator claims the victim's messages for another consumer, so that they can be claimed again at once.
    private func claimFromVictim(_ redis: RedisClient, _ stream: StreamKey, _ victim: String) async throws {
        let held = try await redis.xpending(stream, group: Consumers.group, count: 100, consumer: victim)
        if held.isEmpty { return }
        try await Self.assign(held.map(\.id), of: stream, to: Self.holder, deliveredAt: 0, redis)
    }

    /// An operator claims messages for the victim that it has not read, with a delivery time that is an hour ahead.
    private func claimForVictim(_ redis: RedisClient, _ stream: StreamKey, _ victim: String) async throws {
        let ids = try await Self.hold(redis, stream, count: 2)
        let inAnHour = Int(Date().timeIntervalSince1970 * 1000) + 3_600_000
        try await Self.assign(ids, of: stream, to: victim, deliveredAt: inAnHour, redis)
    }

    private static func assign(
        _ ids: [StreamID],
        of stream: StreamKey,
        to consumer: String,
        deliveredAt milliseconds: Int,
        _ redis: RedisClient
    ) async throws {
        let target: [FieldValue] = [.text(stream.rawValue), .text(Consumers.group), .text(consumer), 0]
        let time: [FieldValue] = ["TIME", .integer(milliseconds), "JUSTID"]
        _ = try await redis.execute(RawCommand("XCLAIM", target + ids.map { .text("\($0)") } + time))
    }

    private static let holder = "holder"

    /// Adds messages and reads them for a consumer that does not run. Under load the victim may be faster, so this
    /// tries again.
    private static func hold(_ redis: RedisClient, _ stream: StreamKey, count: Int) async throws -> [StreamID] {
        for _ in 0..<20 {
            let (_, read) = try await redis.transaction(
                XADD(stream, ["n": 0]),
                XREADGROUP(
                    group: Consumers.group,
                    consumer: holder,
                    streams: [.init(stream, .new)],
                    count: count
                )
            )
            if let ids = try read.get().first?.map(\.id), !ids.isEmpty { return ids }
        }
        throw Failure("The holder received no message.")
    }
}
