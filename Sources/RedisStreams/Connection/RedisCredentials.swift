/// A user and a password, as a credentials provider returns them.
public struct RedisCredentials: Sendable, Hashable {
    /// The user; `nil` for the user `default`.
    public var username: String?

    /// The password, or a token that the server takes for one.
    public var password: Password

    /// For how long the server accepts them, counted from the moment at which the provider returns: 100 ms at least, a year
    /// at most. `nil` if that is not known: then the provider is asked for each new connection, and open connections are not
    /// authenticated again.
    public var validFor: Duration?

    /// A user, a password, and for how long they are valid.
    public init(username: String? = nil, password: Password, validFor: Duration? = nil) {
        self.username = username
        self.password = password
        self.validFor = validFor
    }
}

/// Where connections get their user and password from, if those change while the process runs.
///
/// ```swift
/// configuration.connection.credentialsProvider = CredentialsProvider {
///     // A token of a cloud's IAM is valid for 15 minutes.
///     let token = try await iam.token(forUser: "billing", cluster: "orders")
///     return RedisCredentials(username: "billing", password: Password(token), validFor: .seconds(900))
/// }
/// ```
///
/// The closure is asked when a connection is made and nothing valid is known, and when 80 % of
/// ``RedisCredentials/validFor`` have passed. Then all open connections authenticate again (`AUTH`) and stay open: the shared
/// ones at once, a reader that blocks when its read returns, before the next one. One call serves every connection that needs
/// it at that time, of all clients whose configuration holds this provider.
///
/// - **It throws, or takes longer than ``RedisConnection/Configuration/connectTimeout``:** an attempt to connect fails with
///   ``RedisError/Code/connectionUnavailable``, which is retriable. Open connections go on with what they have, a warning is
///   logged, and the closure is asked again after 50 ms, then after twice as long, up to 5 s. A call that takes too long is
///   cancelled; its result is ignored.
/// - **The server refuses what it returned** (`WRONGPASS`): a new connection drops it and asks once more, since the password
///   may have just been changed; then the error is final (``RedisError/Code/authenticationFailed``). An open connection stays
///   as it was authenticated, and tries again as above.
///
/// The closure may be called on any thread, never twice at a time unless a call took too long. Do not send a bare `MULTI` on a
/// connection of your own meanwhile: an `AUTH` could come between. ``RedisClient/transaction(_:)`` is one piece.
///
/// Source: [AUTH](https://redis.io/docs/latest/commands/auth/).
public struct CredentialsProvider: Sendable {
    let source: CredentialsSource

    /// A provider that asks `provide`.
    public init(_ provide: @escaping @Sendable () async throws -> RedisCredentials) {
        source = CredentialsSource(provide)
    }
}
