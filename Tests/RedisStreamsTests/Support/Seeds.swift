import Testing

/// The seeds of all random walks: fixed, so that a failure can be run again.
let seeds: [UInt64] = Array(1...40)

extension RandomNumberGenerator {
    /// Whether something with this chance comes about.
    mutating func chance(_ probability: Double) -> Bool {
        Double.random(in: 0..<1, using: &self) < probability
    }
}

/// What objects are the same by.
func identities(_ objects: [some AnyObject]) -> [ObjectIdentifier] { objects.map { ObjectIdentifier($0) } }

/// Expects two values to be equal. For values of what cannot be copied, which the macro cannot take apart.
func expect<Value: Equatable>(
    _ value: Value,
    equals expected: Value,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(value == expected, sourceLocation: sourceLocation)
}
