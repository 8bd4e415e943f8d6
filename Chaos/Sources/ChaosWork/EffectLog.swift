import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The effects of one process, in a file with one line each. A line that was written stays, however the process ends.
/// The file does not depend on the server under test.
package final class EffectLog: Sendable {
    private let file: CInt

    /// Appends to the file at `path`, which is created if it is missing.
    package init(path: String) throws {
        file = unsafe open(path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        guard file >= 0 else { throw Failure("\(path) cannot be written: errno \(errno).") }
    }

    deinit {
        close(file)
    }

    /// Appends an effect with a single `write`, so that a kill cannot tear the line.
    package func append(_ kind: Effect.Kind, _ number: Int) {
        var line = Effect(kind, number).line
        let count = line.utf8.count
        let written = line.withUTF8 { unsafe write(file, $0.baseAddress, $0.count) }
        precondition(written == count, "An effect could not be written: errno \(errno).")
    }

    /// The effects in the file at `path`; none if there is no file.
    package static func effects(in path: String) throws -> [Effect] {
        guard FileManager.default.fileExists(atPath: path) else { return [] }
        return String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self)
            .split(separator: "\n").compactMap { Effect(line: $0) }
    }
}
