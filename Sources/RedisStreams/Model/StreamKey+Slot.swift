extension StreamKey {
    /// The slot of the key in a cluster: 0 to 16383. Keys with the same hash tag, such as `{orders}:in` and
    /// `{orders}:out`, are in the same slot. A script or a transaction can only use keys of one slot.
    ///
    /// Source: [Redis cluster specification](https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/).
    public var slot: Int {
        let bytes = Array(rawValue.utf8)
        guard let open = bytes.firstIndex(of: UInt8(ascii: "{")),
            let close = bytes[(open + 1)...].firstIndex(of: UInt8(ascii: "}")), close > open + 1
        else { return Self.crc16(bytes[...]) % 16_384 }
        return Self.crc16(bytes[(open + 1)..<close]) % 16_384
    }

    /// CRC-16/XMODEM.
    private static func crc16(_ bytes: ArraySlice<UInt8>) -> Int {
        var crc: UInt16 = 0
        for byte in bytes {
            crc ^= UInt16(byte) << 8
            for _ in 0..<8 { crc = crc & 0x8000 == 0 ? crc << 1 : crc << 1 ^ 0x1021 }
        }
        return Int(crc)
    }
}
