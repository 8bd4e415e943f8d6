import Logging

/// Records the logged messages, for tests that wait for one of them.
struct LogJournal: LogHandler {
    let journal = Journal<String>()
    /// The only message that is recorded, if it is set.
    var only: String?
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .trace

    init(of message: String? = nil) {
        only = message
    }

    var logger: Logger { Logger(label: "test", factory: { _ in self }) }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let message = "\(event.message)"
        if only == nil || only == message { journal.record(message) }
    }
}
