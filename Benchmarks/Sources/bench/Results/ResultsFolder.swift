import Foundation

/// `Benchmarks/.results`, beside the sources, wherever the benchmark is started.
enum ResultsFolder {
    static let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    static func write(_ value: some Encodable, to name: String) throws {
        let folder = package.appending(path: ".results")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try write(value, to: folder.appending(path: name))
    }

    static func write(_ value: some Encodable, to file: URL) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try (encoder.encode(value) + Data("\n".utf8)).write(to: file, options: .atomic)
    }
}
