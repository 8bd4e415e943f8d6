/// The version of a server, such as `8.2.3`.
public struct ServerVersion: Sendable, Hashable, Comparable, LosslessStringConvertible {
    /// The first number.
    public var major: Int
    /// The second number.
    public var minor: Int
    /// The third number.
    public var patch: Int

    /// A version with these numbers.
    public init(major: Int, minor: Int = 0, patch: Int = 0) {
        self.major = major
        self.minor = minor
        self.patch = patch
    }

    /// Reads one to three numbers with dots between them. Ignores what follows the third one, such as `-rc1`. `nil` if
    /// the text is anything else.
    public init?(_ text: String) {
        var numbers = [0, 0, 0]
        let parts = text.split(separator: ".", maxSplits: 3, omittingEmptySubsequences: false).prefix(3)
        for (index, part) in parts.enumerated() {
            let digits = index == 2 ? part.prefix { $0.isASCII && $0.isNumber } : part
            guard let first = digits.utf8.first, (0x30...0x39).contains(first), let number = Int(digits) else {
                return nil
            }
            numbers[index] = number
        }
        self.init(major: numbers[0], minor: numbers[1], patch: numbers[2])
    }

    /// The numbers with dots between them.
    public var description: String { "\(major).\(minor).\(patch)" }

    /// Orders by the first number, then by the second, then by the third.
    public static func < (left: ServerVersion, right: ServerVersion) -> Bool {
        (left.major, left.minor, left.patch) < (right.major, right.minor, right.patch)
    }
}
