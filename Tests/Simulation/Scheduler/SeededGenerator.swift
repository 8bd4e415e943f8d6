/// Random numbers that are the same for the same seed: SplitMix64.
///
/// Source: [Fast splittable pseudorandom number generators](https://doi.org/10.1145/2714064.2660195).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// From 0 to 1.
    mutating func fraction() -> Double {
        Double(next() >> 11) / Double(1 << 53)
    }

    /// Returns `true` once in `n` times on average; never if `n` is zero.
    mutating func oneIn(_ n: Int) -> Bool {
        n > 0 && next() % UInt64(n) == 0
    }

    mutating func int(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + Int(next() % UInt64(range.upperBound - range.lowerBound + 1))
    }

    /// Draws a duration on a logarithmic scale: each doubling of the lower bound is equally likely.
    mutating func duration(milliseconds range: ClosedRange<Double>) -> VirtualTime {
        // Doubles instead of taking a logarithm, which libraries round differently.
        var doublings = 0
        var bound = range.lowerBound
        while bound * 2 <= range.upperBound {
            bound *= 2
            doublings += 1
        }
        var value = range.lowerBound
        for _ in 0..<int(0...doublings) { value *= 2 }
        return VirtualTime(milliseconds: min(range.upperBound, value * (1 + fraction())))
    }

    mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[int(0...elements.count - 1)]
    }
}
