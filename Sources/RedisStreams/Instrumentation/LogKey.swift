internal import Logging

/// The keys of everything that this library logs.
///
/// Values are messages of this library's errors, counts, names of commands and ids: never payloads, never secrets. The one
/// exception is what ``GroupConsumer/Configuration/describe`` returns.
enum LogKey {
    static let reason = "redis.reason"
    static let pending = "redis.pending"
    static let attempt = "redis.attempt"
    static let delay = "redis.delay_ms"
    static let duration = "redis.duration_ms"
    static let stream = "redis.stream"
    static let group = "redis.group"
    static let consumer = "redis.consumer"
    static let owner = "redis.owner"
    static let count = "redis.count"
    static let message = "redis.message"
    static let slot = "redis.slot"
    static let endpoint = "redis.endpoint"
    static let master = "redis.master"
    static let oldMaster = "redis.old_master"
    static let sentinel = "redis.sentinel"
    static let epoch = "redis.epoch"

    /// The reason for another attempt, the number of the one that failed, and the delay.
    static func retry(_ error: RedisError, _ attempt: Int, _ delay: Duration) -> Logger.Metadata {
        [reason: "\(error)", LogKey.attempt: "\(attempt)", LogKey.delay: "\(delay.wholeMilliseconds)"]
    }
}
