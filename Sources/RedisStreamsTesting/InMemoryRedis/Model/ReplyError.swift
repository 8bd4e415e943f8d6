/// An error reply, with the code and the text that real servers send.
package struct ReplyError: Error {
    let text: Bytes

    /// `text` begins with the code, such as `WRONGTYPE`.
    init(_ text: String) {
        self.text = Bytes(text)
    }

    init(_ parts: Bytes...) {
        text = Array(parts.joined())
    }

    static let syntax = ReplyError("ERR syntax error")
    static let notAnInteger = ReplyError("ERR value is not an integer or out of range")
    static let wrongType = ReplyError("WRONGTYPE Operation against a key holding the wrong kind of value")
    static let noSuchKey = ReplyError("ERR no such key")
    static let invalidID = ReplyError("ERR Invalid stream ID specified as stream command argument")
    static let invalidStart = ReplyError("ERR invalid start ID for the interval")
    static let invalidEnd = ReplyError("ERR invalid end ID for the interval")

    static func arity(_ command: String) -> ReplyError {
        ReplyError("ERR wrong number of arguments for '\(command)' command")
    }

    /// `NOGROUP` with the text of most commands.
    static func noGroup(_ key: Bytes, _ group: Bytes, _ rest: String = "") -> ReplyError {
        ReplyError(Bytes("NOGROUP No such key '"), key, Bytes("' or consumer group '"), group, Bytes("'\(rest)"))
    }

    /// `NOGROUP` with the text of `XGROUP` and `XINFO`.
    static func noGroupForKey(_ key: Bytes, _ group: Bytes) -> ReplyError {
        ReplyError(Bytes("NOGROUP No such consumer group '"), group, Bytes("' for key name '"), key, Bytes("'"))
    }
}
