/// What one process reports of one run: a line of JSON.
struct RunReport: Codable {
    /// From the moment it was connected until all was done.
    let seconds: Double
    /// The CPU time, of user and system, that it took meanwhile.
    let cpuSeconds: Double
    let messages: Int
    let bytes: Int
    /// A number of 64 bits, which JSON has no safe number for.
    let checksum: String

    init(seconds: Double, cpuSeconds: Double, tally: Tally) {
        self.seconds = seconds
        self.cpuSeconds = cpuSeconds
        messages = tally.messages
        bytes = tally.bytes
        checksum = "\(tally.checksum)"
    }

    var tally: Tally {
        var tally = Tally()
        tally.messages = messages
        tally.bytes = bytes
        tally.checksum = UInt64(checksum) ?? 0
        return tally
    }
}
