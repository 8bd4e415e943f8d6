import BenchmarkWork
import Foundation

/// The most that is allowed: `Benchmarks/Thresholds.json`, which is committed.
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

    /// What was measured, and a tenth and a twentieth of an allocation more: how many messages a reply brings depends
    /// on what else the machine does.
    init(measured: [String: Double]) {
        allocationsPerMessage = measured.mapValues { (($0 * 1.1 + 0.05) * 100).rounded(.up) / 100 }
    }

    func write() throws {
        try ResultsFolder.write(self, to: Self.file)
    }

    /// What is above its threshold, or has none.
    func violations(by measured: [String: Double]) -> [String] {
        measured.sorted { $0.key < $1.key }.compactMap { name, value in
            guard let threshold = allocationsPerMessage[name] else { return "'\(name)' has no threshold" }
            guard value > threshold else { return nil }
            return "'\(name)' allocates \(decimal(value)) times per message, and \(decimal(threshold)) is allowed"
        }
    }
}
