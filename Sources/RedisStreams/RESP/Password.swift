/// A password that cannot be printed: its descriptions are `****`, and its mirror is empty.
///
/// ```swift
/// configuration.password = Password(ProcessInfo.processInfo.environment["REDIS_PASSWORD"] ?? "")
/// ```
///
/// It cannot be encoded either, and only the connection reads it.
public struct Password: Sendable, Hashable, ExpressibleByStringLiteral {
    let value: String

    /// A password in plain text.
    public init(_ value: String) {
        self.value = value
    }

    /// A password in plain text. Do not write production passwords into source code.
    public init(stringLiteral value: String) {
        self.value = value
    }
}

extension Password: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// `****`.
    public var description: String { "****" }

    /// `****`.
    public var debugDescription: String { "****" }

    /// A mirror without children.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
