import BenchmarkWork
import Foundation

/// The allowed maxima: `Benchmarks/Thresholds.json`, which is committed.
struct Thresholds: Codable {
    /// By the name of the workload.
    var allocationsPerMessage: [String: Double]

    private static let file = ResultsFolder.package.appending(path: "Thresholds.json")

    static func read() throws -> Thresholds {
        guard let data = try? Data(contentsOf: file) else {
            throw Failure("There is no \(file.path). 'make bench-thresholds' writes it.")
        }
        return try JSONDecoder().decode(Thresholds.self, from: data)
    }

    /// Thresholds a tenth and 0.05 allocations above the measured ones, since the number of messages in a reply depends
    /// on what else the machine does.
    init(measured: [String: Double]) {
        allocationsPerMessage = measured.mapValues { (($0 * 1.1 + 0.05) * 100).rounded(.up) / 100 }
    }

    func write() throws {
        try ResultsFolder.write(self, to: Self.file)
    }

    /// The workloads above their thresholds, or without one.
    func violations(by measured: [String: Double]) -> [String] {
        measured.sorted { $0.key < $1.key }.compactMap { name, value in
            guard let threshold = allocationsPerMessage[name] else { return "'\(name)' has no threshold" }
            guard value > threshold else { return nil }
            return "'\(name)' allocates \(decimal(value)) times per message, and \(decimal(threshold)) is allowed"
        }
    }
}
