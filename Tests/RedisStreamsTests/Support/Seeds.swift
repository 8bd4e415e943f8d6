import Testing

/// The seeds of all random tests: fixed, so that a failure can be repeated.
let seeds: [UInt64] = Array(1...40)

extension RandomNumberGenerator {
    /// Returns `true` with the given probability.
    mutating func chance(_ probability: Double) -> Bool {
        Double.random(in: 0..<1, using: &self) < probability
    }
}

/// The identities of objects, to compare them.
func identities(_ objects: [some AnyObject]) -> [ObjectIdentifier] { objects.map { ObjectIdentifier($0) } }

/// Expects two values to be equal. For values from noncopyable types, which the `#expect` macro cannot decompose.
func expect<Value: Equatable>(
    _ value: Value,
    equals expected: Value,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(value == expected, sourceLocation: sourceLocation)
}
