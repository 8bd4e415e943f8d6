/// The name of a stream: the key that holds it.
public struct StreamKey: Sendable, Hashable, RawRepresentable, ExpressibleByStringLiteral, CustomStringConvertible {
    /// The key as Redis has it, in UTF-8.
    public let rawValue: String

    /// The stream at this key.
    public init(rawValue: String) {
        self.rawValue = rawValue
    }

    /// The stream at this key.
    public init(_ key: String) {
        rawValue = key
    }

    /// The stream at this key.
    public init(stringLiteral key: String) {
        rawValue = key
    }

    /// The key.
    public var description: String { rawValue }
}
