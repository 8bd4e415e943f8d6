/// The result of one seed. The processes that run seeds write it as a line of text, and the one that prints the table
/// reads it.
struct Outcome {
    var seed: UInt64
    var name: Case
    var fingerprint: UInt64
    var steps: Int
    var messages: Int
    var fired: [Fault: Int]
    var lost: Int
    var duplicated: Int
    var recovery: VirtualTime
    var violations: [String]

    var line: String {
        let faults = fired.sorted { $0.key < $1.key }.map { "\($0.key.rawValue)=\($0.value)" }.joined(separator: ",")
        let numbers = [fingerprint, UInt64(steps), UInt64(messages), UInt64(lost), UInt64(duplicated)].map(String.init)
        let parts =
            ["E", "\(seed)", "\(Case.allCases.firstIndex(of: name) ?? 0)"] + numbers
            + ["\(recovery.nanoseconds)", faults, violations.joined(separator: " | ")]
        return parts.joined(separator: "\t")
    }

    /// Returns `nil` for any other line.
    init?(line: some StringProtocol) {
        let parts = line.split(separator: "\t", omittingEmptySubsequences: false)
        guard parts.count == 11, parts[0] == "E" else { return nil }
        let numbers = parts[3..<8].compactMap { UInt64($0) }
        guard let seed = UInt64(parts[1]), let index = Int(parts[2]), let recovery = Int64(parts[8]),
            numbers.count == 5, Case.allCases.indices.contains(index)
        else { return nil }
        self.seed = seed
        name = Case.allCases[index]
        fingerprint = numbers[0]
        steps = Int(numbers[1])
        messages = Int(numbers[2])
        lost = Int(numbers[3])
        duplicated = Int(numbers[4])
        self.recovery = VirtualTime(nanoseconds: recovery)
        fired = [:]
        for pair in parts[9].split(separator: ",") {
            let sides = pair.split(separator: "=")
            if sides.count == 2, let fault = Fault(rawValue: String(sides[0])) { fired[fault] = Int(sides[1]) }
        }
        violations = parts[10].split(separator: "|").map { String($0.drop { $0 == " " }) }
    }

    init(seed: UInt64, name: Case, world: World, recovery: VirtualTime) {
        self.seed = seed
        self.name = name
        fingerprint = world.trace.fingerprint
        steps = world.scheduler.steps
        let records = world.checker.records.values
        messages = records.count { $0.confirmed != nil }
        fired = world.fired
        lost = world.checker.missing.count
        duplicated = records.reduce(0) { $0 + max(0, $1.done - 1) }
        self.recovery = recovery
        violations = world.checker.violations
    }
}
