extension StreamKey {
    /// How many slots a cluster has.
    static let slotCount = 16_384

    /// The slot of the key in a cluster: 0 to 16383. Keys with the same hash tag, such as `{orders}:in` and
    /// `{orders}:out`, are in the same slot. A script or a transaction can only use keys of one slot.
    ///
    /// Source: [Redis cluster specification](https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/).
    public var slot: Int {
        var key = rawValue
        return key.withUTF8 { bytes in
            guard let open = unsafe bytes.firstIndex(of: UInt8(ascii: "{")),
                let close = unsafe bytes[(open + 1)...].firstIndex(of: UInt8(ascii: "}")), close > open + 1
            else { return unsafe Self.crc16(bytes[...]) % Self.slotCount }
            return unsafe Self.crc16(bytes[(open + 1)..<close]) % Self.slotCount
        }
    }

    /// CRC-16/XMODEM.
    private static func crc16(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> Int {
        var crc: UInt16 = 0
        for index in unsafe bytes.indices {
            let byte = unsafe bytes[index]
            crc = crc << 8 ^ table[Int(UInt8(crc >> 8) ^ byte)]
        }
        return Int(crc)
    }

    /// The remainder of each byte.
    private static let table: [UInt16] = (0..<256).map { byte in
        var crc = UInt16(byte) << 8
        for _ in 0..<8 { crc = crc & 0x8000 == 0 ? crc << 1 : crc << 1 ^ 0x1021 }
        return crc
    }
}
