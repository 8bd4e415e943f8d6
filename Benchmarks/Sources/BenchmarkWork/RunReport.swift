/// What one process reports of one run: a line of JSON.
package struct RunReport: Codable, Sendable {
    /// From the moment it was connected until all was done.
    package var seconds: Double
    /// The CPU time, of user and system, that it took meanwhile.
    package var cpuSeconds: Double
    package var messages: Int
    package var bytes: Int
    /// A number of 64 bits, which JSON has no safe number for.
    package var checksum: String
    /// Nanoseconds from XADD to the handler, message by message.
    package var latencies: [Int]?
    /// The resident memory in bytes: before anything was consumed, and the most that was seen after.
    package var residentBefore: Int?
    package var resident: Int?
    package var threads: Int?
    /// How many messages each consumer has handled.
    package var shares: [Int]?
    /// How often memory was allocated meanwhile, if that was counted.
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
