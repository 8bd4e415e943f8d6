/// The fields of a message, in the order in which they were added. A name can occur more than once.
///
/// A view on the reply: it builds a string only when you access one.
public struct StreamFields: Sendable, RandomAccessCollection {
    let tape: ReplyTape
    let first: Int

    /// The number of fields.
    public let count: Int

    init(tape: ReplyTape, first: Int, count: Int) {
        self.tape = tape
        self.first = first
        self.count = count
    }

    /// The position of the first field.
    public var startIndex: Int { 0 }

    /// The number of fields.
    public var endIndex: Int { count }

    /// The field at `position`.
    public subscript(position: Int) -> StreamField {
        precondition(position >= 0 && position < count)
        return StreamField(tape: tape, name: first + 2 * position)
    }

    /// The text of the first field called `name`, or `nil` if there is none.
    public subscript(name: String) -> String? { field(name)?.value }

    /// The first field called `name`, or `nil` if there is none. Compares bytes and builds no strings.
    public func field(_ name: String) -> StreamField? {
        var name = name
        return name.withUTF8 { wanted in
            let position = indices.first { position in
                let token = tape[first + 2 * position]
                guard token.count == wanted.count, token.kind == .bulkString else { return false }
                return unsafe tape.bytes(of: token).elementsEqual(wanted)
            }
            return position.map { self[$0] }
        }
    }
}

/// A field of a message: a name and a value, both binary-safe.
public struct StreamField: Sendable {
    private let tape: ReplyTape
    /// The index of the name; the value is the next token.
    private let index: Int

    init(tape: ReplyTape, name index: Int) {
        self.tape = tape
        self.index = index
    }

    private var nameReply: RedisReply { RedisReply(tape: tape, index: index) }
    private var valueReply: RedisReply { RedisReply(tape: tape, index: index + 1) }

    /// The name as text, where bytes that are not UTF-8 appear as U+FFFD.
    public var name: String { nameReply.string ?? "" }

    /// The value as text, where bytes that are not UTF-8 appear as U+FFFD.
    public var value: String { valueReply.string ?? "" }

    /// The bytes of the name.
    public var nameBytes: [UInt8] { nameReply.bytes ?? [] }

    /// The bytes of the value.
    public var valueBytes: [UInt8] { valueReply.bytes ?? [] }

    /// Calls `body` with the bytes of the name, without a copy. The buffer must not escape.
    public func withUnsafeNameBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        unsafe try withUnsafeBytes(of: tape[index], body)
    }

    /// Calls `body` with the bytes of the value, without a copy. The buffer must not escape.
    public func withUnsafeValueBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        unsafe try withUnsafeBytes(of: tape[index + 1], body)
    }

    private func withUnsafeBytes<Result>(
        of token: ReplyToken,
        _ body: (UnsafeRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        guard token.kind == .bulkString else { return unsafe try body(UnsafeRawBufferPointer(start: nil, count: 0)) }
        return unsafe try body(tape.bytes(of: token))
    }
}
