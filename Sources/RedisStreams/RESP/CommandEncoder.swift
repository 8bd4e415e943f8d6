/// Encodes one command as a RESP array of bulk strings.
///
/// Arguments are binary-safe: no byte in a value can end the value or begin another command.
@safe public struct CommandEncoder: ~Copyable {
    /// The encoder has its own memory, because writing each argument to a `ByteBuffer` costs more than one final copy.
    private var memory: UnsafeMutableRawBufferPointer
    private var size = Self.headerSize
    private var count = 0
    /// How many more bytes may be written. A `ByteBuffer` that grows beyond 4 GiB ends the process.
    private var room: Int
    private(set) var isTooLong = false

    /// Whether the command has no argument. A server does not reply to such a command.
    var isEmpty: Bool { count == 0 }

    /// Room for the array header, even with the largest count. `withBytes` writes it last, right before the arguments.
    private static let headerSize = 24
    /// Enough for most commands.
    private static let usualSize = 320

    init(room: Int = .max) {
        self.room = room
        unsafe memory = .allocate(byteCount: Self.usualSize, alignment: 1)
    }

    deinit {
        unsafe memory.deallocate()
    }

    /// Calls `body` with the encoded command.
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        let digits = UInt64(count).decimalDigits
        let start = Self.headerSize - 3 - digits
        unsafe memory[start] = UInt8(ascii: "*")
        unsafe UInt64(count).writeDecimal(to: memory, at: start + 1, digits: digits)
        unsafe Self.endLine(of: memory, at: Self.headerSize - 2)
        return unsafe body(UnsafeRawBufferPointer(rebasing: memory[start..<size]))
    }

    private mutating func grow(for more: Int) {
        let larger = unsafe UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(memory.count * 2, size + more),
            alignment: 1
        )
        unsafe larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: memory[..<size]))
        unsafe memory.deallocate()
        unsafe memory = larger
    }

    /// Appends text as one argument.
    public mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { bytes in unsafe append(UnsafeRawBufferPointer(bytes)) }
    }

    /// Appends fixed text, such as a command's name or an option, as one argument.
    public mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { bytes in unsafe append(UnsafeRawBufferPointer(bytes)) }
    }

    /// Appends bytes as one argument.
    public mutating func append(_ bytes: [UInt8]) {
        unsafe bytes.withUnsafeBytes { unsafe append($0) }
    }

    /// Appends a copy of the bytes as one argument.
    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        unsafe appendArgument(length: bytes.count) { target in
            unsafe target.copyMemory(from: bytes)
        }
    }

    /// Appends a number, in decimal, as one argument.
    public mutating func append(_ number: Int) {
        append("\(number)")
    }

    /// Appends a duration as one argument, in whole milliseconds, rounded up.
    public mutating func append(milliseconds duration: Duration) {
        append(duration.wholeMilliseconds)
    }

    /// Appends an argument of `length` bytes; `write` fills them in.
    @inline(__always)
    mutating func appendArgument(length: Int, _ write: (UnsafeMutableRawBufferPointer) -> Void) {
        count += 1
        let digits = UInt64(length).decimalDigits
        let start = 1 + digits + 2
        let more = start + length + 2
        guard more <= room else {
            isTooLong = true
            room = 0
            return
        }
        room -= more
        if unsafe size + more > memory.count { grow(for: more) }
        let target = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[size..<(size + more)])
        unsafe target[0] = UInt8(ascii: "$")
        unsafe UInt64(length).writeDecimal(to: target, at: 1, digits: digits)
        unsafe Self.endLine(of: target, at: start - 2)
        unsafe write(UnsafeMutableRawBufferPointer(rebasing: target[start..<(start + length)]))
        unsafe Self.endLine(of: target, at: start + length)
        size += more
    }

    private static func endLine(of target: UnsafeMutableRawBufferPointer, at position: Int) {
        unsafe target[position] = UInt8(ascii: "\r")
        unsafe target[position + 1] = UInt8(ascii: "\n")
    }
}

extension UInt64 {
    /// The number of decimal digits.
    var decimalDigits: Int {
        var digits = 1
        var rest = self
        while rest >= 10 {
            rest /= 10
            digits += 1
        }
        return digits
    }

    /// Writes the number, which has `digits` decimal digits.
    func writeDecimal(to target: UnsafeMutableRawBufferPointer, at start: Int, digits: Int) {
        var rest = self
        var position = start + digits
        repeat {
            position -= 1
            unsafe target[position] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while position > start
    }
}

extension Duration {
    /// The duration in milliseconds, rounded up, and clamped to the range of `Int`.
    var wholeMilliseconds: Int {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        if overflow { return seconds > 0 ? Int.max : Int.min }
        let fraction = (attoseconds + (attoseconds > 0 ? 999_999_999_999_999 : 0)) / 1_000_000_000_000_000
        let (sum, carry) = product.addingReportingOverflow(fraction)
        if carry { return seconds > 0 ? Int.max : Int.min }
        return Int(sum)
    }
}
