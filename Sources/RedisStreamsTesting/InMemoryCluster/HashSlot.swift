/// The slots of a cluster.
enum HashSlot {
    static let count = 16_384

    /// Returns the slot of a key: that of its hash tag, if it has one.
    ///
    /// This does not use the library's own function, so that a mistake there shows in tests.
    static func of(_ key: Bytes) -> Int {
        guard let open = key.firstIndex(of: UInt8(ascii: "{")),
            let close = key[(open + 1)...].firstIndex(of: UInt8(ascii: "}")), close > open + 1
        else { return checksum(key[...]) % count }
        return checksum(key[(open + 1)..<close]) % count
    }

    /// CRC-16/XMODEM.
    private static func checksum(_ bytes: ArraySlice<UInt8>) -> Int {
        var rest: UInt16 = 0
        for byte in bytes {
            rest ^= UInt16(byte) << 8
            for _ in 0..<8 { rest = rest & 0x8000 == 0 ? rest << 1 : rest << 1 ^ 0x1021 }
        }
        return Int(rest)
    }
}
