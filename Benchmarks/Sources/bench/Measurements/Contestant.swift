import BenchmarkWork
import Foundation

/// One side of a measurement, which makes a process for an order.
struct Contestant: Sendable {
    let name: String
    private let makeProcess: @Sendable (Order) throws -> ChildProcess

    func process(_ order: Order) throws -> ChildProcess { try makeProcess(order) }

    static let c = Contestant(name: "C") { order in
        try ChildProcess(built: "CBaseline", try plainArguments(order))
    }

    static let swift = Contestant(name: "Swift") { order in
        try ChildProcess(built: "bench", [Worker.subcommand, order.json])
    }

    /// A side with this many consumers, whatever the order says.
    static func sharing(_ consumers: Int, by side: Contestant = .swift) -> Contestant {
        Contestant(name: "\(side.name) with \(consumers)") { order in
            var order = order
            order.consumers = consumers
            return try side.process(order)
        }
    }

    /// The Swift side, with its allocations counted.
    static let counted = Contestant(name: "Swift") { order in
        try ChildProcess(built: "allocations", [order.json])
    }

    /// A program that takes the arguments of the C baseline after its own.
    static func peer(_ name: String, executable: URL, _ arguments: [String]) -> Contestant {
        Contestant(name: name) { order in
            ChildProcess(executable: executable, arguments + (try plainArguments(order)))
        }
    }

    /// MODE STREAM MESSAGES SECONDS COUNT PAYLOAD CONSUMERS
    private static func plainArguments(_ order: Order) throws -> [String] {
        let mode: String
        switch order.job {
        case .fanOut, .fanOutMessages: mode = "fan-out"
        case .group, .groupRun, .groupShared: mode = "group"
        case .xadd, .producer: mode = "produce"
        case .latency, .latencyRun: mode = "latency-read"
        case .idleConsumers, .backlog, .slowHandler, .fairness, .fairnessMixed:
            throw Failure("There is no C side of \(order.job).")
        }
        // 100 is the library's default.
        let numbers = [order.messages, Int(order.timeLimit), order.batch ?? 100, order.payload, order.consumers]
        return [mode, order.stream] + numbers.map { "\($0)" }
    }
}
