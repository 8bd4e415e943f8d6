import Foundation

/// The results as programs read them: `Benchmarks/.results/latest.json`.
struct Report: Encodable {
    private struct Row: Encodable {
        let workload: String
        let ratio: Ratio
        /// Nanoseconds, of the Swift side.
        let clientCPUPerMessage: Double
        /// 0 to 1, while the Swift side ran.
        let serverCPUShare: Double
    }

    private struct Ratio: Encodable {
        let min: Double
        let median: Double
        let max: Double
    }

    private let workloads: [Row]

    init(_ results: [WorkloadResult]) {
        workloads = results.map { result in
            Row(
                workload: result.workload.name,
                ratio: Ratio(min: result.ratio.min, median: result.ratio.median, max: result.ratio.max),
                clientCPUPerMessage: WorkloadResult.median(result.swift, \.clientCPU),
                serverCPUShare: min(1, WorkloadResult.median(result.swift, \.serverCPUShare))
            )
        }
    }

    func write() throws {
        // Beside the sources, wherever the benchmark is started.
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: ".results")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try encoder.encode(self).write(to: folder.appending(path: "latest.json"), options: .atomic)
    }
}
