import Logging

extension Logger {
    /// For examples that say themselves what happens: only what ends a consumer is logged.
    public static let quiet: Logger = {
        var logger = Logger(label: "redis-streams")
        logger.logLevel = .error
        return logger
    }()
}
