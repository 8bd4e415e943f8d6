internal import NIOCore

extension RedisConnection {
    /// Connects, and performs the handshake.
    ///
    /// - Parameter server: The server that the address leads to, which gives the connection its id.
    /// - Throws: ``RedisError``: why the server cannot be reached, or why it does not let this client in.
    static func connect(
        _ configuration: Configuration,
        to server: ServerIdentity = .unique(),
        transport: any Transport,
        on eventLoop: any EventLoop,
        instruments: Instruments
    ) async throws(RedisError) -> RedisConnection {
        try await ConnectionAttempt(
            configuration: configuration,
            server: server,
            transport: transport,
            eventLoop: eventLoop,
            instruments: instruments
        ).connect()
    }
}

/// One attempt to connect, with the credentials of a provider if there is one.
private struct ConnectionAttempt {
    let configuration: RedisConnection.Configuration
    let server: ServerIdentity
    let transport: any Transport
    let eventLoop: any EventLoop
    let instruments: Instruments

    /// If the server refuses credentials of a provider, the provider is asked once more: they may have just been changed.
    func connect() async throws(RedisError) -> RedisConnection {
        guard let source = configuration.credentialsProvider?.source else {
            return try await connect(configuration, nil)
        }
        var hasAskedAgain = false
        while true {
            let issue = try await source.credentials(on: eventLoop, timeout: configuration.connectTimeout)
            var configuration = configuration
            configuration.username = issue.credentials.username
            configuration.password = issue.credentials.password
            do throws(RedisError) {
                return try await connect(configuration, issue)
            } catch {
                guard error.isWrongPassword else { throw error }
                source.reject(issue.number)
                if hasAskedAgain { throw error }
                hasAskedAgain = true
            }
        }
    }

    private func connect(
        _ configuration: RedisConnection.Configuration,
        _ issue: CredentialsSource.Issue?
    ) async throws(RedisError) -> RedisConnection {
        let connection = RedisConnection(
            configuration: configuration,
            server: server,
            eventLoop: eventLoop,
            leaseClock: transport.leaseClock,
            instruments: instruments
        )
        let stream = try await transport.connect(configuration, on: eventLoop, delegate: connection)
        do throws(RedisError) {
            try await connection.performHandshake(on: stream, issue)
        } catch {
            connection.close()
            // Whatever the server did with the commands of the handshake, it was sent none of a user.
            throw error.about(command: nil, mayHaveExecuted: false)
        }
        return connection
    }
}

extension RedisError {
    /// Whether the server does not accept this password for this user. A server without any password says something else.
    fileprivate var isWrongPassword: Bool { code == .authenticationFailed && serverCode != "ERR" }
}
