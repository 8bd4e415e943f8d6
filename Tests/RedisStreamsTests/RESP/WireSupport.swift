import NIOCore

@testable import RedisStreams

/// A reply as a plain tree, for comparisons.
indirect enum Value: Equatable {
    case bulk([UInt8])
    case simple(String)
    case error(String)
    case integer(Int)
    case array([Value])
    case null

    static func bulk(_ text: String) -> Value { .bulk(Array(text.utf8)) }

    init(_ reply: RedisReply) {
        switch reply.kind {
        case .bulkString: self = .bulk(reply.bytes ?? [])
        case .simpleString: self = .simple(reply.string ?? "")
        case .integer: self = .integer(reply.integer ?? 0)
        case .array: self = .array((reply.array.map(Array.init) ?? []).map(Value.init))
        case .null: self = .null
        case .error:
            let bytes = unsafe [UInt8](reply.tape.bytes(of: reply.token))
            self = .error(String(decoding: bytes, as: UTF8.self))
        }
    }

    /// The bytes that a server would send.
    var wire: [UInt8] {
        switch self {
        case .bulk(let bytes): Array("$\(bytes.count)\r\n".utf8) + bytes + Array("\r\n".utf8)
        case .simple(let text): Array("+\(text)\r\n".utf8)
        case .error(let text): Array("-\(text)\r\n".utf8)
        case .integer(let value): Array(":\(value)\r\n".utf8)
        case .array(let values): Array("*\(values.count)\r\n".utf8) + values.flatMap(\.wire)
        case .null: Array("$-1\r\n".utf8)
        }
    }
}

/// The replies and the error of a reader that has parsed some pieces.
struct Outcome: Equatable {
    var replies: [Value] = []
    var failure: RedisError.Code?
}

/// Passes pieces to a new reader, until it fails.
func outcome(ofFeeding pieces: some Sequence<some Collection<UInt8>>, limits: RESPLimits = RESPLimits()) -> Outcome {
    var reader = RESPReader(limits: limits)
    var outcome = Outcome()
    for piece in pieces {
        do throws(RedisError) {
            try reader.take(piece) { outcome.replies.append(Value($0)) }
        } catch {
            outcome.failure = error.code
            return outcome
        }
    }
    return outcome
}

extension RESPReader {
    mutating func take(_ bytes: some Collection<UInt8>, _ body: (RedisReply) -> Void) throws(RedisError) {
        let bytes = Array(bytes)
        let result = unsafe bytes.withUnsafeBytes { buffer in
            Result { () throws(RedisError) in unsafe try read(buffer, body) }
        }
        try result.get()
    }
}

/// The only reply in `wire`.
func reply(_ wire: String) -> RedisReply {
    var reader = RESPReader()
    var replies: [RedisReply] = []
    do throws(RedisError) {
        try reader.take(Array(wire.utf8)) { replies.append($0) }
    } catch {
        fatalError("\(error)")
    }
    precondition(replies.count == 1, "\(replies.count) replies in \(wire)")
    return replies[0]
}

extension CommandEncoder {
    /// The bytes of the command.
    var bytes: [UInt8] { unsafe withBytes { unsafe Array($0) } }
}

/// The bytes of a command on the wire.
func wire(_ command: some RedisCommand) -> [UInt8] {
    var encoder = CommandEncoder()
    command.encode(into: &encoder)
    return encoder.bytes
}

/// The arguments of a command on the wire.
func arguments(_ command: some RedisCommand) -> [String] {
    let elements = reply(String(decoding: wire(command), as: UTF8.self)).array.map(Array.init) ?? []
    return elements.map { $0.string ?? "?" }
}

/// The error that `body` throws.
func error(_ body: () throws(RedisError) -> some Any) -> RedisError? {
    do throws(RedisError) {
        _ = try body()
        return nil
    } catch {
        return error
    }
}

/// Random numbers that are the same in every run: SplitMix64.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

extension Collection {
    /// The collection in pieces of random lengths from 1 to `longest`.
    func cut(longest: Int, using random: inout SeededGenerator) -> [SubSequence] {
        var pieces: [SubSequence] = []
        var rest = self[...]
        while !rest.isEmpty {
            let piece = rest.prefix(Int.random(in: 1...longest, using: &random))
            pieces.append(piece)
            rest = rest.dropFirst(piece.count)
        }
        return pieces
    }
}
