/// The id of an entry: the time at which it was added and a number among the entries of that millisecond.
///
/// Ids sort in the order of the entries in a stream, and never repeat within a stream.
/// Source: [Entry IDs](https://redis.io/docs/latest/develop/data-types/streams/#entry-ids).
public struct StreamID: Sendable, Hashable, Comparable {
    /// The time part: milliseconds since 1970, by the clock of the server unless the producer chose the id.
    public var milliseconds: UInt64

    /// The number of the entry within its millisecond.
    public var sequence: UInt64

    /// An id with these two parts.
    public init(milliseconds: UInt64, sequence: UInt64 = 0) {
        self.milliseconds = milliseconds
        self.sequence = sequence
    }

    /// `0-0`, which is below every entry.
    public static let zero = StreamID(milliseconds: 0)

    /// The highest possible id.
    public static let max = StreamID(milliseconds: .max, sequence: .max)

    /// The lowest id above this one; `nil` for `max`.
    public var next: StreamID? {
        if sequence < .max { return StreamID(milliseconds: milliseconds, sequence: sequence + 1) }
        return milliseconds < .max ? StreamID(milliseconds: milliseconds + 1) : nil
    }

    /// The highest id below this one; `nil` for `zero`.
    public var previous: StreamID? {
        if sequence > 0 { return StreamID(milliseconds: milliseconds, sequence: sequence - 1) }
        return milliseconds > 0 ? StreamID(milliseconds: milliseconds - 1, sequence: .max) : nil
    }

    /// Orders ids like the entries of a stream.
    public static func < (left: StreamID, right: StreamID) -> Bool {
        (left.milliseconds, left.sequence) < (right.milliseconds, right.sequence)
    }
}

extension StreamID: LosslessStringConvertible {
    /// Reads an id as Redis writes it, such as `1700000000000-3`. In `1700000000000`, the missing sequence counts as 0.
    /// `nil` if the text is anything else.
    public init?(_ text: String) {
        var text = text
        let id = text.withUTF8 { unsafe StreamID(ascii: UnsafeRawBufferPointer($0)) }
        guard let id else { return nil }
        self = id
    }

    init?(ascii bytes: UnsafeRawBufferPointer) {
        var position = 0
        guard let milliseconds = unsafe UInt64(digitsOf: bytes, from: &position) else { return nil }
        if position == bytes.count {
            self.init(milliseconds: milliseconds)
            return
        }
        guard unsafe bytes[position] == UInt8(ascii: "-") else { return nil }
        position += 1
        guard let sequence = unsafe UInt64(digitsOf: bytes, from: &position), position == bytes.count else {
            return nil
        }
        self.init(milliseconds: milliseconds, sequence: sequence)
    }

    /// The id as Redis writes it.
    public var description: String { "\(milliseconds)-\(sequence)" }
}

extension StreamID: Codable {
    /// Reads the id from its text.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let id = StreamID(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "Not an entry id.")
        }
        self = id
    }

    /// Writes the id as its text.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
