import BenchmarkWork
import Foundation
import RedisStreams

/// The rate at which a group reads from backlogs of different lengths.
struct Backlogs {
    let server: Server
    let passes: Int
    let rounds: Int

    /// The shortest backlog: it holds one pass, and what the consumer reads ahead of it.
    static let least = 10_000

    /// Returns the samples of each backlog. All backlogs exist at the same time, and are read in turn.
    func run(_ backlogs: [Int]) async throws -> [[Sample]] {
        let servers = backlogs.map { Server(server.redis, suffix: ":\($0)") }
        do {
            for (server, backlog) in zip(servers, backlogs) {
                Progress.say("Filling a stream with \(backlog) entries …")
                try await server.fill(backlog)
            }
            let samples = try await measure(servers, backlogs)
            for server in servers { try await server.clear() }
            return samples
        } catch {
            for server in servers { try? await server.clear() }
            throw error
        }
    }

    private func measure(_ servers: [Server], _ backlogs: [Int]) async throws -> [[Sample]] {
        try await Rounds(name: "backlog", count: rounds).run(backlogs.map { "\($0):" }) { index in
            try await measure(servers[index], backlogs[index])
        } describe: { sample in
            sample.thousands
        }
    }

    private func measure(_ server: Server, _ backlog: Int) async throws -> Sample {
        let messages = passes * Order.passMessages
        var order = server.order(.backlog, messages: messages)
        // The passes are spread over the first half, so that at least half of the backlog follows each one.
        order.stride = backlog > Self.least ? backlog / 2 / passes : 0
        try await server.destroyGroups()
        let (report, serverSeconds) = try await server.measuringCPU {
            try await Contestant.swift.process(order).report()
        }
        var expected = Tally()
        for pass in 0..<passes {
            let start = pass * order.stride
            expected += Tally(of: start + 1...start + Order.passMessages, payload: order.payload)
        }
        try server.check("backlog", seen: report.tally, expected: expected)
        return Sample(report, messages: messages, serverSeconds: serverSeconds)
    }
}
