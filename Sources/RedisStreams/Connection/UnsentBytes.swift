/// Counts the bytes that wait for the server to take them, and says when there are too many.
struct UnsentBytes {
    /// How many may wait.
    let limit: Int
    /// Not less than there are: that bytes have left is found out only when it matters.
    private var count = 0

    init(limit: Int = 1 << 30) {
        self.limit = limit
    }

    /// Whether so many more may be sent.
    ///
    /// - Parameter waiting: How many wait without them.
    mutating func admit(_ more: Int, waiting: () -> Int) -> Bool {
        if count > limit - more { count = waiting() }
        guard count <= limit - more else { return false }
        count += more
        return true
    }
}
