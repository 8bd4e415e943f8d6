import Logging

/// Records the logged lines, with their metadata.
struct LogLines: LogHandler {
    struct Line: Sendable {
        let level: Logger.Level
        let text: String
        let metadata: [String: String]
    }

    private let journal = Journal<Line>()
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .trace

    var logger: Logger { Logger(label: "test", factory: { _ in self }) }

    /// The lines of the level `info` and above.
    var all: [Line] { journal.all.filter { $0.level >= .info } }

    /// The lines with this text.
    func lines(_ text: String) -> [Line] { journal.all.filter { $0.text == text } }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        journal.record(Line(level: event.level, text: "\(event.message)", metadata: all.mapValues { "\($0)" }))
    }
}
