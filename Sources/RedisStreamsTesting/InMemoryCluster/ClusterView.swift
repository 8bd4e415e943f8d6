/// A cluster as one of its nodes knows it: who is there, and who serves which slot.
struct ClusterView {
    struct Member {
        /// 40 hexadecimal digits.
        let id: String
        let hostname: String
        let ip: String
        let port: Int
        /// The position of the master that this node is a replica of; `nil` for a master.
        var master: Int?
        /// Whether the other nodes have agreed that the node is down.
        var hasFailed = false
    }

    /// How the nodes announce themselves.
    let announcement: InMemoryCluster.Announcement
    var members: [Member]
    /// The position of the master that serves each slot; `nil` for none.
    var owners: [Int?]
    /// The cluster is down before this moment of the monotonic clock.
    var downUntil = Int.min

    /// Masters first, then the replicas of each. The slots are spread as `redis-cli --cluster create` does.
    init(masters: Int, replicas: Int, announcement: InMemoryCluster.Announcement) {
        self.announcement = announcement
        let (masters, replicas) = (min(max(1, masters), 100), min(max(0, replicas), 9))
        members = (0..<masters * (1 + replicas)).map { position in
            let digits = String(position + 1, radix: 16)
            return Member(
                id: String(repeating: "0", count: 40 - digits.count) + digits,
                hostname: "node-\(position + 1)",
                ip: "10.0.\(position / 250).\(position % 250 + 1)",
                port: 7000 + position,
                master: position < masters ? nil : position % masters
            )
        }
        owners = (0..<HashSlot.count).map { $0 * masters / HashSlot.count }
    }

    func isDown(at time: RedisModel.Time) -> Bool { time.monotonic < downUntil }

    /// The host that redirections name; empty if clients are to keep the one that they know.
    func endpoint(_ member: Member) -> String {
        switch announcement {
        case .hostname: member.hostname
        case .address: member.ip
        case .unknownEndpoint: ""
        }
    }

    /// The nodes that serve a master's slots for it if it fails.
    func replicas(of master: Int) -> [Int] {
        members.indices.filter { members[$0].master == master && !members[$0].hasFailed }
    }

    struct SlotRange {
        let slots: ClosedRange<Int>
        let owner: Int
    }

    /// The slots in order, with their masters.
    var ranges: [SlotRange] {
        var ranges: [SlotRange] = []
        for (slot, owner) in owners.enumerated() {
            guard let owner else { continue }
            if let last = ranges.last, last.owner == owner, last.slots.upperBound == slot - 1 {
                ranges[ranges.count - 1] = SlotRange(slots: last.slots.lowerBound...slot, owner: owner)
            } else {
                ranges.append(SlotRange(slots: slot...slot, owner: owner))
            }
        }
        return ranges
    }
}
