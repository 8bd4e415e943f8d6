internal import NIOCore

/// How many messages may wait in the buffer so that none waits much longer than a given time: the faster the handlers,
/// the more. It reads no clock.
///
/// It starts with a guess that counts as one measurement. So fast handlers bring it to its bounds after a few reads,
/// and a few messages that happen to be fast do not fill the buffer.
struct PrefetchBudget: Sendable {
    /// The number of handlers.
    private let concurrency: Double
    /// The longest time that a message should wait, in nanoseconds.
    private let time: Double
    /// The maximum number of messages in one read, and the number of waiting messages up to which a read is sent.
    private let batch: Int
    private let prefetch: Int
    /// The mean time that a handler takes, in nanoseconds.
    private var mean = Self.guess
    /// The number of measurements in the mean.
    private var weight = 1.0
    /// How many messages may wait besides those that free handlers take at once.
    private(set) var allowance = 0

    /// The guess of the mean before the first measurement, in nanoseconds.
    private static let guess = 100_000_000.0
    /// The most measurements that count. If a tenth or a twentieth of the messages are slow, the mean must not forget
    /// them from one to the next.
    private static let window = 64.0
    /// The mean, in nanoseconds, from which on every handler call is measured, since reading the clock costs nothing in
    /// comparison.
    private static let slow = 50_000.0
    /// The upper bound of the allowance: in effect unlimited, and it fits into an `Int`.
    private static let most = 1e12
    /// How many fast handler calls go unmeasured after each measured one.
    static let skipped = 15

    init(time: Duration, concurrency: Int, batch: Int, prefetch: Int) {
        self.time = Double(TimeAmount(time).nanoseconds)
        self.concurrency = Double(concurrency)
        self.batch = batch
        self.prefetch = prefetch
        update()
    }

    /// Whether every handler call is measured.
    var measuresEach: Bool { mean >= Self.slow }

    /// A handler took this long.
    mutating func handled(in time: TimeAmount) {
        weight = min(weight + 1, Self.window)
        mean += (Double(max(0, time.nanoseconds)) - mean) / weight
        update()
    }

    /// A message has waited this long, and no handler took it: the earlier measurements of fast handlers no longer
    /// count.
    mutating func waited(for time: TimeAmount) {
        mean = max(mean, Double(time.nanoseconds))
        weight = 1
        update()
    }

    private mutating func update() {
        let fitting = concurrency * time / max(mean, 1)
        allowance = Int(min(fitting, Double(prefetch) + Double(batch), Self.most))
    }

    /// Returns how many messages the next read may ask for.
    ///
    /// - Parameters:
    ///   - waiting: How many messages wait, or were asked for.
    ///   - free: How many handlers wait for a message.
    func room(waiting: Int, free: Int) -> Int {
        guard waiting <= prefetch else { return 0 }
        if waiting < free { return free + allowance - waiting }
        if prefetch == 0 { return 0 }
        // A read is not worth it for every message that leaves the buffer: it asks for half of the allowance, or a
        // whole batch, at a time.
        let ahead = waiting - free
        guard ahead <= max(allowance / 2, allowance - batch) else { return 0 }
        return max(0, allowance - ahead)
    }
}
