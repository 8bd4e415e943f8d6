/// How far the server trims a stream, beginning with the oldest entries.
///
/// An approximate trim removes only whole internal nodes. It is much cheaper, and leaves up to a hundred entries more
/// than asked for. With ``ReferencePolicy/acknowledged`` or ``ReferencePolicy/delete``, it removes nothing at all on
/// Redis 8.2.0 to 8.2.6 and 8.4.0: use an exact trim there.
///
/// Source: [XTRIM](https://redis.io/docs/latest/commands/xtrim/).
public struct TrimStrategy: Sendable, Hashable {
    enum Threshold: Hashable {
        case length(Int)
        case id(StreamID)
        case bytes(Int)
    }

    let threshold: Threshold
    let isExact: Bool
    let limit: Int?

    /// Keeps about the newest `maxLength` entries.
    ///
    /// `limit` bounds how many entries one command may remove; 0 removes the bound, `nil` leaves it to the server.
    public static func approximately(maxLength: Int, limit: Int? = nil) -> TrimStrategy {
        TrimStrategy(threshold: .length(maxLength), isExact: false, limit: limit)
    }

    /// Keeps the newest `maxLength` entries, and no more.
    public static func exactly(maxLength: Int) -> TrimStrategy {
        TrimStrategy(threshold: .length(maxLength), isExact: true, limit: nil)
    }

    /// Removes about all the entries below `minID`.
    ///
    /// `limit` bounds how many entries one command may remove; 0 removes the bound, `nil` leaves it to the server.
    public static func approximately(minID: StreamID, limit: Int? = nil) -> TrimStrategy {
        TrimStrategy(threshold: .id(minID), isExact: false, limit: limit)
    }

    /// Removes all the entries below `minID`.
    public static func exactly(minID: StreamID) -> TrimStrategy {
        TrimStrategy(threshold: .id(minID), isExact: true, limit: nil)
    }

    /// Keeps about the newest entries that use `maxBytes` of the server's memory. Needs Valkey 9.2; no Redis has it.
    ///
    /// This follows Valkey's documentation and is not tested: no server in this library's tests has it.
    ///
    /// `limit` bounds how many entries one command may remove; 0 removes the bound, `nil` leaves it to the server.
    public static func approximately(maxBytes: Int, limit: Int? = nil) -> TrimStrategy {
        TrimStrategy(threshold: .bytes(maxBytes), isExact: false, limit: limit)
    }

    /// Keeps the newest entries that use `maxBytes` of the server's memory. Needs Valkey 9.2; no Redis has it.
    ///
    /// This follows Valkey's documentation and is not tested: no server in this library's tests has it.
    public static func exactly(maxBytes: Int) -> TrimStrategy {
        TrimStrategy(threshold: .bytes(maxBytes), isExact: true, limit: nil)
    }

    /// The versions that the threshold needs; `nil` if every supported server has it.
    func requirement(of command: String) -> ServerRequirement? {
        guard case .bytes = threshold else { return nil }
        return ServerRequirement("\(command) with MAXBYTES", redis: nil, valkey: "9.2")
    }

    func append(to encoder: inout CommandEncoder) {
        switch threshold {
        case .length: encoder.append("MAXLEN")
        case .id: encoder.append("MINID")
        case .bytes: encoder.append("MAXBYTES")
        }
        encoder.append(isExact ? "=" : "~")
        switch threshold {
        case .length(let length): encoder.append(length)
        case .id(let id): encoder.append(id)
        case .bytes(let bytes): encoder.append(bytes)
        }
        if let limit {
            encoder.append("LIMIT")
            encoder.append(limit)
        }
    }
}
