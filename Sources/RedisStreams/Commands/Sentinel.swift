/// The commands by which a sentinel says where a master is, and who else monitors it.
///
/// Source: [Sentinel](https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/).
enum SENTINEL {
    /// Where a server or another sentinel is, as a sentinel says.
    struct Address: Sendable, Hashable {
        let host: String
        let port: Int
    }

    /// The address of a master: of the new one as soon as its promotion is certain.
    struct GETMASTERADDRBYNAME: RedisCommand {
        static let name = "SENTINEL GET-MASTER-ADDR-BY-NAME"

        var master: String

        func encode(into encoder: inout CommandEncoder) {
            encoder.append("SENTINEL")
            encoder.append("GET-MASTER-ADDR-BY-NAME")
            encoder.append(master)
        }

        /// `nil` if the sentinel monitors no master of this name.
        func decode(_ reply: RedisReply) throws(RedisError) -> Address? {
            if reply.isNull { return nil }
            let parts = try elements(reply)
            guard parts.count == 2, let host = parts[offset: 0]?.string, let port = parts[offset: 1]?.integer else {
                throw unexpected(reply)
            }
            return Address(host: host, port: port)
        }
    }

    /// The epoch of the configuration that a sentinel has of a master. The failover that made it master gave it one that is
    /// higher than all before.
    struct MASTER: RedisCommand {
        static let name = "SENTINEL MASTER"

        var master: String

        func encode(into encoder: inout CommandEncoder) {
            encoder.append("SENTINEL")
            encoder.append("MASTER")
            encoder.append(master)
        }

        func decode(_ reply: RedisReply) throws(RedisError) -> Int {
            guard let epoch = NamedValues(reply)?.integer("config-epoch"), epoch >= 0 else { throw unexpected(reply) }
            return epoch
        }
    }

    /// The other sentinels that a sentinel knows to monitor a master.
    struct SENTINELS: RedisCommand {
        static let name = "SENTINEL SENTINELS"

        struct Sentinel: Sendable, Hashable {
            let address: Address
            /// The id that it gives itself, which stays the same if its address changes.
            let id: String
        }

        /// More are left out.
        static let limit = 64

        var master: String

        func encode(into encoder: inout CommandEncoder) {
            encoder.append("SENTINEL")
            encoder.append("SENTINELS")
            encoder.append(master)
        }

        func decode(_ reply: RedisReply) throws(RedisError) -> [Sentinel] {
            var sentinels: [Sentinel] = []
            for element in try elements(reply).prefix(Self.limit) {
                guard let values = NamedValues(element), let host = values.string("ip"), let id = values.string("runid")
                else { throw unexpected(element) }
                // One that was never reached has no id.
                guard !id.isEmpty, let port = values.integer("port") else { continue }
                sentinels.append(Sentinel(address: Address(host: host, port: port), id: id))
            }
            return sentinels
        }
    }

    /// The id of the sentinel itself.
    struct MYID: RedisCommand {
        static let name = "SENTINEL MYID"

        func encode(into encoder: inout CommandEncoder) {
            encoder.append("SENTINEL")
            encoder.append("MYID")
        }

        func decode(_ reply: RedisReply) throws(RedisError) -> String { try string(reply) }
    }
}

/// Subscribes the connection to a channel: from then on the server sends messages that nobody asked for.
///
/// Source: [SUBSCRIBE](https://redis.io/docs/latest/commands/subscribe/).
struct SUBSCRIBE: RedisCommand {
    static let name = "SUBSCRIBE"

    var channel: String

    func encode(into encoder: inout CommandEncoder) {
        encoder.append("SUBSCRIBE")
        encoder.append(channel)
    }

    func decode(_ reply: RedisReply) throws(RedisError) { _ = try elements(reply) }
}
