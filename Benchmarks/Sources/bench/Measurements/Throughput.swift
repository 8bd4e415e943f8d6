import BenchmarkWork
import Foundation
import RedisStreams

/// Rounds of the same work, done by each contestant in turn; what each did is checked.
struct Throughput {
    /// What has to be there before a run, and to be checked behind it.
    private enum Scene {
        /// A stream with all messages.
        case filledStream
        /// A stream with all messages, and a group that has seen none of them; at the end nothing is pending.
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
        var samples = contestants.map { _ in [Sample]() }
        for round in 0..<rounds {
            for turn in contestants.indices {
                // Who goes first may find warmer or colder caches: it is each one's turn.
                let index = (turn + round) % contestants.count
                samples[index].append(try await measure(contestants[index], order))
            }
            let rates = contestants.indices.map { index in
                "\(contestants[index].name) \(Int((samples[index].last?.rate ?? 0) / 1000)) k/s"
            }
            Progress.say("\(name), round \(round + 1) of \(rounds): \(rates.joined(separator: ", "))")
        }
        return samples
    }

    /// Once for a workload.
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
    func runChecked(_ contestant: Contestant, _ order: Order) async throws -> (RunReport, Double) {
        switch scene {
        case .filledStream: break
        case .unreadGroup: try await server.resetGroup()
        case .noStream: try await server.clear()
        }
        let before = try await server.cpuSeconds()
        let report = try await contestant.process(order).report()
        let after = try await server.cpuSeconds()
        try await check(report, by: contestant)
        return (report, after - before)
    }

    /// No figure without its guarantee: every message exactly once, and nothing left unacknowledged.
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

/// What is being done, for those who wait.
enum Progress {
    static func say(_ line: String) {
        FileHandle.standardError.write(Data("\(line)\n".utf8))
    }
}
