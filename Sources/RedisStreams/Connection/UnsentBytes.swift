/// Counts the bytes that the server has not accepted yet, and refuses more when there are too many.
struct UnsentBytes {
    /// The most bytes that may wait.
    let limit: Int
    /// An upper bound: it asks how many bytes wait only when the bound is reached.
    private var count = 0

    init(limit: Int = 1 << 30) {
        self.limit = limit
    }

    /// Returns whether `more` bytes may be sent.
    ///
    /// - Parameter waiting: Returns how many bytes wait without them.
    mutating func admit(_ more: Int, waiting: () -> Int) -> Bool {
        if count > limit - more { count = waiting() }
        guard count <= limit - more else { return false }
        count += more
        return true
    }
}
