internal import NIOCore

/// How many messages may wait for a handler, so that they wait for about as long as is wanted: the more, the faster handlers
/// are. A value without a clock.
///
/// It begins with a guess that counts as one measurement: a consumer may hold about as many messages as it has handled
/// quickly, so that it is at its bounds after a few reads, and a few lucky messages do not fill the buffer.
struct PrefetchBudget: Sendable {
    /// How many handlers there are.
    private let concurrency: Double
    /// Nanoseconds that a message should wait at most.
    private let time: Double
    /// How many messages one read brings at most, and up to how many may wait when it is sent.
    private let batch: Int
    private let prefetch: Int
    /// Nanoseconds that a handler takes.
    private var mean = Self.guess
    /// Of how many measurements.
    private var weight = 1.0
    /// How many messages may wait besides those that handlers are free for.
    private(set) var allowance = 0

    /// As if a handler had taken so long before anything is known: nanoseconds.
    private static let guess = 100_000_000.0
    /// How many measurements count. A tenth or a twentieth of slow messages among fast ones must not be forgotten between two
    /// of them.
    private static let window = 64.0
    /// From how many nanoseconds on each handler is measured, since the clock costs nothing beside it.
    private static let slow = 50_000.0
    /// As many as make no difference any more, and fit into an `Int`.
    private static let most = 1e12
    /// How many fast ones are not measured, behind one that is.
    static let skipped = 15

    init(time: Duration, concurrency: Int, batch: Int, prefetch: Int) {
        self.time = Double(TimeAmount(time).nanoseconds)
        self.concurrency = Double(concurrency)
        self.batch = batch
        self.prefetch = prefetch
        update()
    }

    /// Whether each handler is to be measured.
    var measuresEach: Bool { mean >= Self.slow }

    /// A handler took so long.
    mutating func handled(in time: TimeAmount) {
        weight = min(weight + 1, Self.window)
        mean += (Double(max(0, time.nanoseconds)) - mean) / weight
        update()
    }

    /// A message has waited for so long, and no handler came: nothing is known of fast handlers any more.
    mutating func waited(for time: TimeAmount) {
        mean = max(mean, Double(time.nanoseconds))
        weight = 1
        update()
    }

    private mutating func update() {
        let fitting = concurrency * time / max(mean, 1)
        allowance = Int(min(fitting, Double(prefetch) + Double(batch), Self.most))
    }

    /// How many messages may be asked for.
    ///
    /// - Parameters:
    ///   - waiting: How many wait, or are on their way.
    ///   - free: How many handlers wait for one.
    func room(waiting: Int, free: Int) -> Int {
        guard waiting <= prefetch else { return 0 }
        if waiting < free { return free + allowance - waiting }
        if prefetch == 0 { return 0 }
        // Not for each message that leaves: half of what may wait, or a whole batch, is asked for at a time.
        let ahead = waiting - free
        guard ahead <= max(allowance / 2, allowance - batch) else { return 0 }
        return max(0, allowance - ahead)
    }
}
