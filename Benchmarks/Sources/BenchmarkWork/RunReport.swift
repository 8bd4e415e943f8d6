/// What one process reports of one run: a line of JSON.
package struct RunReport: Codable, Sendable {
    /// The time from the connection until all was done.
    package var seconds: Double
    /// The user and system CPU time of the process in that time.
    package var cpuSeconds: Double
    package var messages: Int
    package var bytes: Int
    /// A 64-bit number as text, since JSON numbers are not exact for it.
    package var checksum: String
    /// Nanoseconds from XADD to the handler, message by message.
    package var latencies: [Int]?
    /// The resident memory in bytes: before the first message, and its peak after that.
    package var residentBefore: Int?
    package var resident: Int?
    package var threads: Int?
    /// How many messages each consumer has handled.
    package var shares: [Int]?
    /// The number of allocations in that time, if they were counted.
    package var allocations: Int?

    package init(seconds: Double, cpuSeconds: Double, tally: Tally) {
        self.seconds = seconds
        self.cpuSeconds = cpuSeconds
        messages = tally.messages
        bytes = tally.bytes
        checksum = "\(tally.checksum)"
    }

    package var tally: Tally {
        var tally = Tally()
        tally.messages = messages
        tally.bytes = bytes
        tally.checksum = UInt64(checksum) ?? 0
        return tally
    }
}
