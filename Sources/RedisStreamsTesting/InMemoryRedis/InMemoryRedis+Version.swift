extension InMemoryRedis {
    /// Which server an ``InMemoryRedis`` behaves like: in its replies, its errors, and in what becomes of blocked readers.
    public enum Version: String, Sendable, Hashable, CaseIterable {
        /// Redis 6.2, the oldest that the library supports.
        case redis6_2 = "6.2"
        /// Redis 7.0.
        case redis7_0 = "7.0"
        /// Redis 8.2, which has `XACKDEL`, `XDELEX`, and the policies `KEEPREF`, `DELREF` and `ACKED`.
        case redis8_2 = "8.2"
        /// Valkey 9.1.
        case valkey9_1 = "valkey-9.1"

        /// The version of Redis that the server says it is, or is compatible with.
        var redisNumber: String {
            switch self {
            case .redis6_2: "6.2.14"
            case .redis7_0: "7.0.15"
            case .redis8_2: "8.2.3"
            case .valkey9_1: "7.2.4"
            }
        }

        /// The version as the server's own maker counts.
        var number: String { self == .valkey9_1 ? "9.1.2" : redisNumber }

        /// Counters of entries, ids in parts, lags, and subcommands that are checked as commands are.
        var isAtLeast7_0: Bool { self != .redis6_2 }

        /// Blocked commands are executed once more when their key changes, and consumers have two times.
        var isAtLeast7_2: Bool { self == .redis8_2 || self == .valkey9_1 }

        /// `KEEPREF`, `DELREF` and `ACKED`.
        var hasReferencePolicies: Bool { self == .redis8_2 }
    }
}
