/// Commands of Redis Cluster that a client needs.
public enum CLUSTER {
    /// Asks a node which nodes serve which slots.
    ///
    /// Source: [CLUSTER SLOTS](https://redis.io/docs/latest/commands/cluster-slots/).
    public struct SLOTS: RedisCommand {
        /// `CLUSTER SLOTS`.
        public static let name = "CLUSTER SLOTS"

        /// Asks for all slots.
        public init() {}

        /// Writes the command.
        public func encode(into encoder: inout CommandEncoder) {
            encoder.append("CLUSTER")
            encoder.append("SLOTS")
        }

        /// The ranges of slots with their masters. Ranges whose master has no known address are left out.
        public func decode(_ reply: RedisReply) throws(RedisError) -> [SlotRange] {
            var ranges: [SlotRange] = []
            var slots = 0
            for element in try elements(reply) {
                let parts = Array(try elements(element))
                guard parts.count >= 3 else { throw unexpected(element) }
                let (first, last) = (try integer(parts[0]), try integer(parts[1]))
                guard 0 <= first, first <= last, last < StreamKey.slotCount else { throw unexpected(element) }
                slots += last - first + 1
                guard slots <= StreamKey.slotCount else { throw unexpected(reply) }
                guard let master = try server(parts[2]) else { continue }
                var range = SlotRange(first: first, last: last, host: master.host, port: master.port)
                // The map is good without those that cannot be read.
                for part in parts.dropFirst(3) {
                    if let replica = try? server(part) { range.replicas.append(replica) }
                }
                ranges.append(range)
            }
            return ranges
        }

        /// One server of a range; `nil` if it has no known address.
        private func server(_ reply: RedisReply) throws(RedisError) -> SlotRange.Replica? {
            let parts = Array(try elements(reply))
            guard parts.count >= 2 else { throw unexpected(reply) }
            let port = try integer(parts[1])
            // Null and an empty name stand for the host that was asked, and `?` for an unknown one.
            let host = parts[0].isNull ? "" : try string(parts[0])
            if host == "?" || !(1...65_535).contains(port) { return nil }
            return .init(host: host, port: port)
        }
    }

    /// Slots that one master serves.
    public struct SlotRange: Sendable, Hashable {
        /// The first slot.
        public let first: Int
        /// The last slot.
        public let last: Int
        /// The host of the master as the node announces it. Empty if it is the host that was asked.
        public let host: String
        /// The port of the master.
        public let port: Int
        /// The replicas of the master, which can tell the map when no master answers.
        var replicas: [Replica] = []

        struct Replica: Hashable {
            let host: String
            let port: Int
        }
    }
}

/// Lets a node execute the next command although the slot of its key is still being moved to it.
///
/// Source: [ASKING](https://redis.io/docs/latest/commands/asking/).
struct ASKING: RedisCommand {
    static let name = "ASKING"

    func encode(into encoder: inout CommandEncoder) { encoder.append("ASKING") }

    func decode(_ reply: RedisReply) throws(RedisError) { try ok(reply) }
}
