import Logging

extension Logger {
    /// For examples that print what happens: logs only errors, such as one that ends a consumer.
    public static let quiet: Logger = {
        var logger = Logger(label: "redis-streams")
        logger.logLevel = .error
        return logger
    }()
}
