/// One way of breaking things, and what must hold all the same.
protocol ChaosCase: Sendable {
    /// The name on the command line.
    var name: String { get }

    /// What is done, in a few words.
    var summary: String { get }

    /// How a control run must fail.
    var control: Control { get }

    /// Whether the case runs on every server, and not on one of them.
    var needsAllServers: Bool { get }

    /// Whether the case is left out of the short form and of control runs, unless it is named.
    var isLong: Bool { get }

    /// Breaks things, and tells what came of it.
    ///
    /// - Throws: What kept the case from being played to its end, which counts as a failure.
    func run(_ scene: Scene) async throws -> Outcome
}

extension ChaosCase {
    var needsAllServers: Bool { false }
    var isLong: Bool { false }
}

/// A run without what the case tests, which must fail, and for that reason.
struct Control: Sendable {
    /// What is turned off.
    let off: String
    /// A part of what the case then finds fault with.
    let sign: String
}

/// What a case has at hand.
struct Scene: Sendable {
    /// One server, or all.
    let servers: [ServerBinary]
    /// Whether counts are to be small.
    let isQuick: Bool
    /// Whether what is tested is to be turned off.
    let isControl: Bool
    let seed: UInt64
    /// The worker of an older build.
    let oldWorker: String?

    var server: ServerBinary { servers[0] }
    var random: SeededGenerator { SeededGenerator(seed: seed) }

    /// `full`, or `quick` in the short form. A control run has no need for more either.
    func count(_ full: Int, quick: Int) -> Int { isQuick || isControl ? quick : full }
}
