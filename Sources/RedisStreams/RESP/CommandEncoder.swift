internal import NIOCore

/// Writes one command straight into the outgoing buffer, as the RESP array of bulk strings that Redis reads.
///
/// Arguments are binary-safe: nothing in a value can end it or begin another command.
public struct CommandEncoder: ~Copyable {
    private var buffer: ByteBuffer
    private let start: Int
    private var count = 0

    /// The header of an array of fewer than ten elements. Longer headers make room for themselves in `finish()`.
    private static let placeholder = "*0\r\n"

    init(appendingTo buffer: consuming ByteBuffer) {
        self.buffer = consume buffer
        start = self.buffer.writerIndex
        self.buffer.writeString(Self.placeholder)
    }

    /// Ends the command; returns the buffer with it.
    consuming func finish() -> ByteBuffer {
        let digits = count.decimalDigits
        if digits > 1 {
            let bodyStart = start + Self.placeholder.utf8.count
            let bodyLength = buffer.writerIndex - bodyStart
            let offset = bodyStart - buffer.readerIndex
            buffer.writeRepeatingByte(0, count: digits - 1)
            unsafe buffer.withUnsafeMutableReadableBytes { bytes in
                guard let base = unsafe bytes.baseAddress?.advanced(by: offset) else { return }
                // Copes with the overlap.
                unsafe (base + (digits - 1)).copyMemory(from: base, byteCount: bodyLength)
            }
        }
        buffer.setBytes(Self.header(count), at: start)
        return buffer
    }

    private static func header(_ count: Int) -> String.UTF8View { "*\(count)\r\n".utf8 }

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
        beginArgument(length: bytes.count)
        unsafe buffer.writeBytes(bytes)
        endArgument()
    }

    /// Appends a number, in decimal, as one argument.
    public mutating func append(_ number: Int) {
        append("\(number)")
    }

    /// Appends a key as one argument.
    public mutating func append(_ key: StreamKey) {
        append(key.rawValue)
    }

    /// Appends an entry id as one argument.
    public mutating func append(_ id: StreamID) {
        beginArgument(length: id.milliseconds.decimalDigits + 1 + id.sequence.decimalDigits)
        writeDecimal(id.milliseconds)
        buffer.writeInteger(UInt8(ascii: "-"))
        writeDecimal(id.sequence)
        endArgument()
    }

    /// Appends a duration as one argument, in whole milliseconds, rounded up.
    public mutating func append(milliseconds duration: Duration) {
        append(duration.wholeMilliseconds)
    }

    private mutating func beginArgument(length: Int) {
        count += 1
        buffer.writeInteger(UInt8(ascii: "$"))
        writeDecimal(UInt64(length))
        endArgument()
    }

    private mutating func endArgument() {
        buffer.writeInteger(UInt16(0x0d0a))
    }

    private mutating func writeDecimal(_ value: UInt64) {
        let digits = value.decimalDigits
        unsafe buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: digits) { bytes in
            var rest = value
            var position = digits
            repeat {
                position -= 1
                unsafe bytes[position] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while position > 0
            return digits
        }
    }
}

extension BinaryInteger {
    /// How many decimal digits a number that is not negative has.
    fileprivate var decimalDigits: Int {
        var digits = 1
        var rest = self
        while rest >= 10 {
            rest /= 10
            digits += 1
        }
        return digits
    }
}

extension Duration {
    /// The duration in milliseconds, rounded up, and clamped to what fits.
    var wholeMilliseconds: Int {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        if overflow { return seconds > 0 ? Int.max : Int.min }
        let fraction = (attoseconds + (attoseconds > 0 ? 999_999_999_999_999 : 0)) / 1_000_000_000_000_000
        let (sum, carry) = product.addingReportingOverflow(fraction)
        return carry ? Int.max : Int(sum)
    }
}
