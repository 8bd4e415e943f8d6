extension CommandEncoder {
    /// Appends a key as one argument.
    public mutating func append(_ key: StreamKey) {
        append(key.rawValue)
    }

    /// Appends an entry id as one argument.
    public mutating func append(_ id: StreamID) {
        let (first, second) = (id.milliseconds.decimalDigits, id.sequence.decimalDigits)
        unsafe appendArgument(length: first + 1 + second) { target in
            unsafe id.milliseconds.writeDecimal(to: target, at: 0, digits: first)
            unsafe target[first] = UInt8(ascii: "-")
            unsafe id.sequence.writeDecimal(to: target, at: first + 1, digits: second)
        }
    }
}
