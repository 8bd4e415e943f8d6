/// The keys of a command, by which a cluster decides who executes it.
enum CommandKeys {
    /// Returns the keys in the arguments of a command; none if the arguments make no sense.
    static func of(_ command: [Bytes]) -> ArraySlice<Bytes> {
        guard let name = command.first?.uppercase.text else { return [] }
        switch name {
        case "DEL", "UNLINK", "EXISTS", "WATCH": return command.dropFirst()
        case "RENAME": return command.dropFirst().prefix(2)
        case "XGROUP", "XINFO": return command.dropFirst(2).prefix(1)
        case "XREAD": return streams(command, from: 1)
        case "XREADGROUP": return streams(command, from: 4)
        case "EVAL", "EVALSHA":
            guard command.count > 2, let count = command[2].canonicalInteger, count > 0 else { return [] }
            return command.dropFirst(3).prefix(count)
        case _ where withOneKey.contains(name): return command.dropFirst().prefix(1)
        default: return []
        }
    }

    private static let withOneKey: Set<String> = [
        "XADD", "XTRIM", "XLEN", "XRANGE", "XREVRANGE", "XDEL", "XDELEX", "XSETID", "XACK", "XACKDEL", "XPENDING",
        "XCLAIM", "XAUTOCLAIM", "TYPE", "EXPIRE", "PEXPIRE", "PERSIST", "TTL", "PTTL", "GET", "SET", "INCR", "DECR",
        "INCRBY", "HSET", "HGET", "HMGET", "HDEL", "HGETALL",
    ]

    /// The keys after `STREAMS`, which is looked for behind the names of group and consumer, since those may be any word.
    private static func streams(_ command: [Bytes], from start: Int) -> ArraySlice<Bytes> {
        guard let word = command.indices.dropFirst(start).first(where: { command[$0].isWord("STREAMS") }) else {
            return []
        }
        let rest = command[(word + 1)...]
        return rest.count % 2 == 0 ? rest.prefix(rest.count / 2) : []
    }
}
