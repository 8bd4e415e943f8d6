import BenchmarkWork
import Foundation
import RedisStreams

/// Rounds of the same work, done by each contestant in turn, with a check of each run.
struct Throughput {
    /// The state before a run, and what is checked after it.
    private enum Scene {
        /// A stream with all messages.
        case filledStream
        /// A stream with all messages, and a group that has read none of them; at the end nothing is pending.
        case unreadGroup
        /// No stream; at the end it has all messages.
        case noStream
    }

    let name: String
    let server: Server
    let order: Order
    let rounds: Int
    private let scene: Scene
    private let expected: Tally

    init(_ name: String, _ server: Server, _ order: Order, rounds: Int) {
        self.name = name
        self.server = server
        self.order = order
        self.rounds = rounds
        expected = Tally(of: 1...order.messages, payload: order.payload)
        switch order.job {
        case .fanOut, .fanOutMessages: scene = .filledStream
        case .xadd, .producer: scene = .noStream
        default: scene = .unreadGroup
        }
    }

    /// Returns the samples of each contestant, round by round.
    func run(_ contestants: [Contestant]) async throws -> [[Sample]] {
        try await setUp()
        return try await Rounds(name: name, count: rounds).run(contestants.map(\.name)) { index in
            try await measure(contestants[index], order)
        } describe: { sample in
            sample.thousands
        }
    }

    /// Prepares the stream, once for a workload.
    func setUp() async throws {
        switch scene {
        case .filledStream, .unreadGroup: try await server.fill(order.messages, payload: order.payload)
        case .noStream: try await server.clear()
        }
    }

    /// One run of one side.
    func measure(_ contestant: Contestant, _ order: Order) async throws -> Sample {
        let (report, serverSeconds) = try await runChecked(contestant, order)
        return Sample(report, messages: order.messages, serverSeconds: serverSeconds)
    }

    /// Returns the report and the CPU time of the server.
    func runChecked(
        _ contestant: Contestant,
        _ order: Order
    ) async throws -> (result: RunReport, serverSeconds: Double) {
        switch scene {
        case .filledStream: break
        case .unreadGroup: try await server.resetGroup()
        case .noStream: try await server.clear()
        }
        let measured = try await server.measuringCPU { try await contestant.process(order).report() }
        try await check(measured.result, by: contestant)
        return measured
    }

    /// Checks what each figure depends on: every message came exactly once, and none is left unacknowledged.
    private func check(_ report: RunReport, by contestant: Contestant) async throws {
        let run = "\(name), \(contestant.name)"
        switch scene {
        case .filledStream:
            try server.check(run, seen: report.tally, expected: expected)
        case .unreadGroup:
            try server.check(run, seen: report.tally, expected: expected)
            try await server.checkGroup(run)
        case .noStream:
            guard report.messages == order.messages else {
                throw Failure("\(run): \(report.messages) messages were sent, not \(order.messages).")
            }
            try server.check(run, seen: try await server.contents(), expected: expected)
        }
    }
}
