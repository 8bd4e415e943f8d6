import ChaosWork
import Foundation
import RedisStreams

/// What somebody does to a stream, a group or a connection behind a consumer's back.
enum Strike: String, CaseIterable, Sendable {
    case del, unlink, flushAll, flushDatabaseAsync, rename, expire, swapDatabases, setOverKey, destroyGroup, setIDBack
    case deletePending, trim, trimPending, deleteConsumer, deleteHolder, killConnections, killReader, unblock
    case unblockWithError, loseReply, flushScripts, demote, steal, giveForeign

    /// Whether the key holds no stream any more: then a consumer has to say so.
    var isFinal: Bool { self == .setOverKey }

    /// Strikes at the stream's only consumer, `victim`, whose connections have that name, too.
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
        case .steal: try await steal(redis, stream, from: victim)
        case .giveForeign: try await giveForeign(redis, stream, to: victim)
        }
    }

    // MARK: Strikes of several steps

    private func expire(_ redis: RedisClient, _ key: FieldValue) async throws {
        try await redis.send("PEXPIRE", key, "1")
        // Gone, or there again and without an end.
        try await eventually("it has expired") { try await redis.send("PTTL", key).integer ?? 0 < 0 }
    }

    /// The reply to a read is written to a connection that is closed before it is sent.
    private func loseReply(_ redis: RedisClient, _ stream: StreamKey, _ victim: String) async throws {
        guard let reader = try await redis.connections(of: victim, blocked: true).first else { return }
        _ = try await redis.transaction(
            XADD(stream, ["n": 0]),
            RawCommand("CLIENT", "KILL", "ID", .text("\(reader)"))
        )
    }

    private func demote(_ redis: RedisClient) async throws {
        // Nobody listens there.
        try await redis.send("REPLICAOF", "127.0.0.1", "1")
        try await Task.sleep(for: .milliseconds(50))
        try await redis.send("REPLICAOF", "NO", "ONE")
    }

    /// An operator claims what the victim holds, and leaves it claimable.
    private func steal(_ redis: RedisClient, _ stream: StreamKey, from victim: String) async throws {
        let held = try await redis.xpending(stream, group: Consumers.group, count: 100, consumer: victim)
        if held.isEmpty { return }
        try await Self.give(held.map(\.id), of: stream, to: Self.holder, deliveredAt: 0, redis)
    }

    /// An operator gives the victim what it has not read, as delivered in an hour.
    private func giveForeign(_ redis: RedisClient, _ stream: StreamKey, to victim: String) async throws {
        let ids = try await Self.hold(redis, stream, count: 2)
        let inAnHour = Int(Date().timeIntervalSince1970 * 1000) + 3_600_000
        try await Self.give(ids, of: stream, to: victim, deliveredAt: inAnHour, redis)
    }

    private static func give(
        _ ids: [StreamID],
        of stream: StreamKey,
        to consumer: String,
        deliveredAt milliseconds: Int,
        _ redis: RedisClient
    ) async throws {
        let claim: [FieldValue] = [.text(stream.rawValue), .text(Consumers.group), .text(consumer), 0]
        let time: [FieldValue] = ["TIME", .integer(milliseconds), "JUSTID"]
        _ = try await redis.execute(RawCommand("XCLAIM", claim + ids.map { .text("\($0)") } + time))
    }

    private static let holder = "holder"

    /// Has a consumer that does not run hold some messages. Under load, the other may be faster.
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
        throw Failure("The holder gets nothing to hold.")
    }
}
