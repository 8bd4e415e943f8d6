/// How a consumer continues after a failure.
enum FailureReaction {
    /// It takes the next step on the same connection.
    case proceed
    /// It leases another connection at once: the stream has moved to another node.
    case reconnect
    /// It tries again after a delay; `attempt` counts the failures in a row.
    case retry(RedisError, attempt: Int)
    /// It ends with the error.
    case stop(RedisError)
}

extension RedisError {
    /// Whether no server answers at the address. A consumer that has never been connected ends with such an error
    /// instead of waiting, so that a wrong address does not look like an idle stream.
    var isUnreachable: Bool {
        [.connectionRefused, .connectTimeout, .hostNotFound, .connectionUnavailable].contains(code)
    }
}
