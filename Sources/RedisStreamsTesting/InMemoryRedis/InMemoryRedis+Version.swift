extension InMemoryRedis {
    /// The server that an ``InMemoryRedis`` behaves like, in its replies, its errors, and its treatment of blocked
    /// reads.
    public enum Version: String, Sendable, Hashable, CaseIterable {
        /// Redis 6.2, the oldest that the library supports.
        case redis6_2 = "6.2"
        /// Redis 7.0.
        case redis7_0 = "7.0"
        /// Redis 8.2, which has `XACKDEL`, `XDELEX`, and the policies `KEEPREF`, `DELREF` and `ACKED`.
        case redis8_2 = "8.2"
        /// Valkey 9.1.
        case valkey9_1 = "valkey-9.1"

        /// The Redis version that the server reports, or with which it reports to be compatible.
        var redisNumber: String {
            switch self {
            case .redis6_2: "6.2.14"
            case .redis7_0: "7.0.15"
            case .redis8_2: "8.2.3"
            case .valkey9_1: "7.2.4"
            }
        }

        /// The version number of the server itself.
        var number: String { self == .valkey9_1 ? "9.1.2" : redisNumber }

        /// Whether the server counts entries, reports lags, completes ids such as `5-*`, and checks subcommands as it
        /// checks commands.
        var isAtLeast7_0: Bool { self != .redis6_2 }

        /// Whether the server executes a blocked command again when its key changes, and keeps two times for each
        /// consumer, of its last attempt and of its last message.
        var isAtLeast7_2: Bool { self == .redis8_2 || self == .valkey9_1 }

        /// Whether the server has `KEEPREF`, `DELREF` and `ACKED`.
        var hasReferencePolicies: Bool { self == .redis8_2 }
    }
}
