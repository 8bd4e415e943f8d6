internal import RedisStreams

/// Writes replies in RESP2, or in RESP3 for clients that asked for it.
package struct ReplyWriter {
    /// The bytes written so far.
    package private(set) var bytes: Bytes = []

    /// Whether null and maps have their own types.
    var isRESP3: Bool

    package init(isRESP3: Bool = false) {
        self.isRESP3 = isRESP3
    }

    /// A position in the reply. The count of an array is inserted there once its elements are written.
    struct Mark {
        fileprivate let position: Int
    }

    mutating func ok() { raw("+OK\r\n") }

    mutating func null() { raw(isRESP3 ? "_\r\n" : "$-1\r\n") }

    mutating func nullArray() { raw(isRESP3 ? "_\r\n" : "*-1\r\n") }

    mutating func simple(_ text: String) {
        raw("+")
        raw(text)
        raw("\r\n")
    }

    mutating func error(_ error: ReplyError) {
        raw("-")
        // A line break would end the reply, so Redis writes spaces instead, too.
        bytes.append(contentsOf: error.text.lazy.map { $0 == 13 || $0 == 10 ? 32 : $0 })
        raw("\r\n")
    }

    mutating func integer(_ value: Int) {
        bytes.append(UInt8(ascii: ":"))
        bytes.append(decimal: value)
        raw("\r\n")
    }

    mutating func array(_ count: Int) {
        bytes.append(UInt8(ascii: "*"))
        bytes.append(decimal: count)
        raw("\r\n")
    }

    /// Begins a map of `count` names, each followed by a value.
    mutating func map(_ count: Int) {
        if !isRESP3 { return array(2 * count) }
        bytes.append(UInt8(ascii: "%"))
        bytes.append(decimal: count)
        raw("\r\n")
    }

    /// Begins a name and its value where RESP2 has an array of pairs, and RESP3 a map.
    mutating func pair() {
        if !isRESP3 { array(2) }
    }

    mutating func bulk(_ value: Bytes) {
        bytes.append(UInt8(ascii: "$"))
        bytes.append(decimal: value.count)
        raw("\r\n")
        bytes.append(contentsOf: value)
        raw("\r\n")
    }

    mutating func bulk(_ text: String) {
        bytes.append(UInt8(ascii: "$"))
        bytes.append(decimal: text.utf8.count)
        raw("\r\n")
        raw(text)
        raw("\r\n")
    }

    mutating func bulk(_ id: StreamID) {
        bytes.append(UInt8(ascii: "$"))
        bytes.append(decimal: UInt64(id.milliseconds.digitCount + id.sequence.digitCount + 1))
        raw("\r\n")
        bytes.append(id: id)
        raw("\r\n")
    }

    /// Writes a number as a bulk string.
    mutating func bulk(number: Int) {
        var digits: Bytes = []
        digits.append(decimal: number)
        bulk(digits)
    }

    /// Writes an encoded reply.
    mutating func raw(_ reply: Bytes) { bytes.append(contentsOf: reply) }

    private mutating func raw(_ text: String) { bytes.append(contentsOf: text.utf8) }

    /// The current position, for an array that begins here and whose count is not known yet.
    var mark: Mark { Mark(position: bytes.count) }

    /// Makes the replies written since `mark` the elements of an array.
    mutating func array(_ count: Int, from mark: Mark) {
        insertHeader("*", count, at: mark)
    }

    /// Makes the replies written since `mark` a list of `count` pairs; see ``pair()``.
    mutating func pairs(_ count: Int, from mark: Mark) {
        insertHeader(isRESP3 ? "%" : "*", count, at: mark)
    }

    private mutating func insertHeader(_ sign: String, _ count: Int, at mark: Mark) {
        var header = Bytes(sign)
        header.append(decimal: count)
        header.append(contentsOf: [13, 10])
        bytes.insert(contentsOf: header, at: mark.position)
    }

    /// Removes the bytes written since `mark`.
    mutating func rewind(to mark: Mark) {
        bytes.removeLast(bytes.count - mark.position)
    }
}
