/// A secret that cannot be printed: every description and mirror of it is `****`.
///
/// ```swift
/// configuration.password = Password(ProcessInfo.processInfo.environment["REDIS_PASSWORD"] ?? "")
/// ```
///
/// It cannot be encoded either, and nobody but the connection reads it.
public struct Password: Sendable, Hashable, ExpressibleByStringLiteral {
    let value: String

    /// A password in plain text.
    public init(_ value: String) {
        self.value = value
    }

    /// A password in plain text. Keep those of production out of the source.
    public init(stringLiteral value: String) {
        self.value = value
    }
}

extension Password: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// `****`.
    public var description: String { "****" }

    /// `****`.
    public var debugDescription: String { "****" }

    /// Shows nothing within.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
