import Testing

@testable import RedisStreams

@Suite struct RESPFuzzTests {
    static let seeds = (1...40).map(UInt64.init)

    static func randomValue(depth: Int, using random: inout SeededGenerator) -> Value {
        switch Int.random(in: 0..<(depth < 8 ? 9 : 6), using: &random) {
        case 0, 1:
            let length = Int.random(in: 0...(Bool.random(using: &random) ? 8 : 300), using: &random)
            return .bulk((0..<length).map { _ in UInt8.random(in: 0...255, using: &random) })
        case 2: return .simple(String(UInt64.random(in: 0...(.max), using: &random), radix: 36))
        case 3: return .error("ERR " + String(UInt64.random(in: 0...(.max), using: &random), radix: 36))
        case 4: return .integer(Int(truncatingIfNeeded: random.next() >> UInt64.random(in: 0...63, using: &random)))
        case 5: return .null
        default:
            let count = Int.random(in: 0...5, using: &random)
            return .array((0..<count).map { _ in randomValue(depth: depth + 1, using: &random) })
        }
    }

    @Test(arguments: seeds)
    func `Random replies, cut at random, are read as they were written`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let values = (0..<50).map { _ in Self.randomValue(depth: 0, using: &random) }
        let wire = values.flatMap(\.wire)
        for longest in [1, 3, 20, 500, wire.count + 1] {
            let pieces = wire.cut(longest: longest, using: &random)
            #expect(outcome(ofFeeding: pieces) == Outcome(replies: values), "pieces of at most \(longest) bytes")
        }
    }

    @Test(arguments: seeds)
    func `Corrupted bytes are read as something else, or refused, and never trap`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<100 {
            var wire = (0..<4).flatMap { _ in Self.randomValue(depth: 0, using: &random).wire }
            for _ in 0...Int.random(in: 0...4, using: &random) {
                let place = Int.random(in: 0..<wire.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: wire[place] = UInt8.random(in: 0...255, using: &random)
                case 1: wire.remove(at: place)
                case 2: wire.insert(Array("\r\n$*:-+0123456789".utf8).randomElement(using: &random) ?? 0, at: place)
                default: wire.removeLast(wire.count - place - 1)
                }
                if wire.isEmpty { break }
            }
            let result = outcome(ofFeeding: wire.cut(longest: 64, using: &random))
            #expect(result.failure == nil || result.failure == .protocolViolation)
        }
    }
}
