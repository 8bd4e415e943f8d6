/// Where a node of a cluster sends a client with a command: `MOVED 3999 10.0.0.7:6381`, or `ASK` with the same arguments.
///
/// It is the ``RedisError/cause`` of the error of that reply.
///
/// Source: [Redis cluster specification](https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/).
struct Redirection: Error, Sendable, Hashable {
    enum Kind: Sendable, Hashable {
        /// The other node serves the slot from now on.
        case moved
        /// The other node has the key of this one command, which has to be sent to it behind `ASKING`.
        case ask
    }

    let kind: Kind
    let slot: Int
    /// Empty if the node does not know its own name: then it is the host that was asked.
    let host: String
    let port: Int

    /// Reads the text of an error reply. `nil` for anything that is not exactly such a text.
    init?(serverText text: String) {
        let words = text.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard words.count == 3 else { return nil }
        switch words[0] {
        case let word where word.elementsEqual("MOVED".utf8): kind = .moved
        case let word where word.elementsEqual("ASK".utf8): kind = .ask
        default: return nil
        }
        guard let slot = Self.number(words[1]), slot < 16_384 else { return nil }
        // An IPv6 address has no brackets here, so the port is behind the last colon.
        guard let colon = words[2].lastIndex(of: UInt8(ascii: ":")) else { return nil }
        guard let port = Self.number(words[2][colon...].dropFirst()), (1...65_535).contains(port) else { return nil }
        self.slot = slot
        self.port = port
        host = String(Substring(words[2][..<colon]))
    }

    /// The number that one to five digits spell.
    private static func number(_ digits: Substring.UTF8View) -> Int? {
        guard (1...5).contains(digits.count), digits.allSatisfy({ $0 &- UInt8(ascii: "0") <= 9 }) else { return nil }
        return Int(Substring(digits))
    }
}

extension RedisError {
    /// Where the server sends the client, if that is what this error says.
    var redirection: Redirection? { cause as? Redirection }
}

extension RedisReply {
    /// Where the server sends the client, if that is what this reply says.
    var redirection: Redirection? {
        // This check comes first, since most replies are no errors.
        if kind != .error { return nil }
        return error?.redirection
    }
}

extension RedisError {
    /// A node of a cluster sends the client on with a command: it has not executed it.
    static func slotMoving(_ redirection: Redirection, command: String) -> RedisError {
        RedisError(
            .slotMoving,
            "Another node of the cluster has slot \(redirection.slot) by now.",
            command: command,
            cause: redirection
        )
    }
}
