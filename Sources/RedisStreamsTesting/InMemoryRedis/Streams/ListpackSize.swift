/// The number of bytes that values take in a Redis listpack. It decides where a node of a stream ends, and so what
/// approximate trimming removes.
enum ListpackSize {
    /// The size of the header and the end byte.
    static let empty = 7

    static func element(_ bytes: Bytes) -> Int {
        if let integer = bytes.canonicalInteger { return element(integer) }
        let header = bytes.count < 64 ? 1 : bytes.count < 4096 ? 2 : 5
        return total(header + bytes.count)
    }

    static func element(_ integer: Int) -> Int {
        let size =
            switch integer {
            case 0...127: 1
            case -4096...4095: 2
            case -32768...32767: 3
            case -8_388_608...8_388_607: 4
            case -2_147_483_648...2_147_483_647: 5
            default: 9
            }
        return total(size)
    }

    /// Adds the length that follows each element, by which Redis walks backwards.
    private static func total(_ size: Int) -> Int {
        switch size {
        case ...127: size + 1
        case ..<16383: size + 2
        case ..<2_097_151: size + 3
        case ..<268_435_455: size + 4
        default: size + 5
        }
    }
}
