/// How a consumer goes on after a failure.
enum FailureReaction {
    /// With the next step, on the same connection.
    case proceed
    /// After a while; `attempt` counts the failures in a row.
    case retry(RedisError, attempt: Int)
    /// Not at all.
    case stop(RedisError)
}

extension RedisError {
    /// Whether nothing answers at the address. Who has never been connected is told, and not kept waiting, so that a
    /// wrong address does not look like an idle stream.
    var isUnreachable: Bool {
        [.connectionRefused, .connectTimeout, .hostNotFound, .connectionUnavailable].contains(code)
    }
}
