import BenchmarkWork
import Foundation

/// Other clients beside C and Swift, in the same rounds: `Benchmarks/Peers`.
struct Peers {
    let server: Server
    let options: Options

    private static let workloads: [(name: String, job: Order.Job)] = [
        ("fan-out read", .fanOut), ("group read", .group), ("produce", .xadd),
    ]

    private static var contestants: [Contestant] {
        get throws {
            let folder = ResultsFolder.package.appending(path: "Peers")
            let python = ResultsFolder.package.appending(path: ".peers/bin/python")
            guard FileManager.default.isExecutableFile(atPath: python.path) else {
                throw Failure("There is no \(python.path): 'make bench-peers' installs what is needed.")
            }
            func script(_ name: String) -> String { folder.appending(path: name).path }
            return [
                .c, .swift,
                .peer("redis-py", executable: python, [script("redis_py.py")]),
                .peer("valkey-glide", executable: python, [script("valkey_glide.py")]),
                .peer(
                    "node-redis",
                    executable: URL(filePath: "/usr/bin/env"),
                    ["NODE_PATH=/usr/share/nodejs", "node", script("node_redis.js")]
                ),
            ]
        }
    }

    /// One client in one workload.
    private struct Row: Encodable {
        let workload: String
        let client: String
        let ratio: Spread
        let messagesPerSecond: Double
        let clientCPUPerMessage: Double
        let serverCPUShare: Double
    }

    func run() async throws {
        var rows: [Row] = []
        let contestants = try Self.contestants
        for workload in Self.workloads {
            let order = server.order(workload.job, messages: options.messages)
            let throughput = Throughput(workload.name, server, order, rounds: options.rounds)
            let samples = try await throughput.run(contestants)
            for (contestant, own) in zip(contestants, samples) {
                let usage = Figure.Usage(own)
                rows.append(
                    Row(
                        workload: workload.name,
                        client: contestant.name,
                        ratio: Spread(own.map(\.rate), over: samples[0].map(\.rate)),
                        messagesPerSecond: Spread(own.map(\.rate)).median,
                        clientCPUPerMessage: usage.clientCPU,
                        serverCPUShare: usage.serverCPUShare
                    )
                )
            }
        }
        try await server.clear()
        print(text(rows))
        try ResultsFolder.write(["peers": rows], to: "peers.json")
    }

    private func text(_ rows: [Row]) -> String {
        let heading = ["workload", "client", "messages/s", "ratio to C: min", "median", "max", "ns CPU/message"]
        let cells = rows.map { row in
            [
                row.workload, row.client, grouped(row.messagesPerSecond),
                decimal(row.ratio.min), decimal(row.ratio.median), decimal(row.ratio.max),
                grouped(row.clientCPUPerMessage),
            ]
        }
        return "\n\(Table.lines([heading] + cells, textColumns: 2))\n"
    }
}
