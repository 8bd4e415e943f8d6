internal import DequeModule
internal import NIOCore

/// The ids that this consumer has acknowledged lately, as far back as a failover may take acknowledgements back: what
/// replication had not brought over is pending again on the new master.
///
/// It keeps the arrays of ids that were sent together, so that it costs an entry for each command and nothing for each
/// message. If it is full, the oldest are forgotten: such messages are handled again, as at-least-once allows.
struct AcknowledgedIDs {
    /// An old master goes on for 11 s, and replication lags less than that, or the server refuses writes.
    static let keptFor = TimeAmount.seconds(15)
    /// 16 bytes each: 1.6 MB.
    static let limit = 100_000

    private var groups: Deque<(time: NIODeadline, ids: [StreamID])> = []
    private(set) var count = 0

    mutating func add(_ ids: [StreamID], at now: NIODeadline) {
        groups.append((now, ids))
        count += ids.count
        while let first = groups.first, first.time + Self.keptFor < now || count > Self.limit {
            groups.removeFirst()
            count -= first.ids.count
        }
    }

    /// Those of `ids` that were acknowledged.
    func among(_ ids: [StreamID]) -> [StreamID] {
        if ids.isEmpty || groups.isEmpty { return [] }
        var rest = Set(ids)
        var found: Set<StreamID> = []
        for group in groups {
            for id in group.ids where rest.remove(id) != nil { found.insert(id) }
        }
        return ids.filter { found.contains($0) }
    }
}

extension PendingTable {
    /// Another server is the master. Until its lease is renewed there, no message is certain to be this consumer's.
    mutating func revokeFencing(at now: NIODeadline) { leasePolicy.revokedAt = now }

    /// The server has acknowledged these ids.
    mutating func rememberAcknowledged(_ ids: [StreamID], at now: NIODeadline) { acknowledged.add(ids, at: now) }
}
