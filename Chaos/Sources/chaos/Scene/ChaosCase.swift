/// A kind of fault, and what must hold in spite of it.
protocol ChaosCase: Sendable {
    /// The name on the command line.
    var name: String { get }

    /// What the case does, in a few words.
    var summary: String { get }

    /// How a control run must fail.
    var control: Control { get }

    /// Whether the case runs on every server instead of one.
    var needsAllServers: Bool { get }

    /// A part of the name of the server that it runs on, if that one is there; `nil` for any.
    var preferredServer: String? { get }

    /// Whether the short form and control runs leave the case out unless it is named.
    var isLong: Bool { get }

    /// Injects the faults, and returns the result.
    ///
    /// - Throws: What kept the case from running to its end, which counts as a failure.
    func run(_ scene: Scene) async throws -> Outcome
}

extension ChaosCase {
    var needsAllServers: Bool { false }
    var isLong: Bool { false }
    var preferredServer: String? { nil }
}

/// A run in which the case turns off what it tests. It must fail, and for that reason.
struct Control: Sendable {
    /// What is turned off.
    let off: String
    /// A part of the problem that the case must then report.
    let sign: String
}

/// The servers and options of a case.
struct Scene: Sendable {
    /// One server, or all.
    let servers: [ServerBinary]
    /// Whether counts are reduced.
    let isQuick: Bool
    /// Whether the case turns off what it tests.
    let isControl: Bool
    let seed: UInt64
    /// The worker of an older build.
    let oldWorker: String?

    var server: ServerBinary { servers[0] }
    var random: SeededGenerator { SeededGenerator(seed: seed) }

    /// `full`, or `quick` in the short form and in control runs.
    func count(_ full: Int, quick: Int) -> Int { isQuick || isControl ? quick : full }
}
