package import NIOCore

/// Hooks for the life of a connection.
package protocol ConnectionInstrument: Instrument {
    /// The server has let the client in. Called on the event loop of the connection.
    func connectionOpened(_ connection: ConnectionReport)

    /// A connection could not be made.
    func connectingFailed(_ failure: ConnectingFailure)

    /// An open connection could not authenticate again with new credentials, and goes on with those that it has. Called on the
    /// event loop of the connection.
    func credentialsNotRenewed(_ failure: ConnectingFailure)

    /// A connection has ended, or ended before it was open. Called on the event loop of the connection.
    func connectionEnded(_ end: ConnectionEnd)
}

extension ConnectionInstrument {
    package func connectionOpened(_ connection: ConnectionReport) {}
    package func connectingFailed(_ failure: ConnectingFailure) {}
    package func credentialsNotRenewed(_ failure: ConnectingFailure) {}
    package func connectionEnded(_ end: ConnectionEnd) {}
}

/// Which connection something happened to.
package struct ConnectionReport: Sendable {
    /// Where the server listens: `host:port`, or the path of a Unix socket.
    package let endpoint: String
    /// The id that the server gave the connection; `nil` if it gave none.
    package let clientID: Int?
    /// How long it took to connect and to log in; for a connection that never opened, how long it was tried.
    package let connectDuration: Duration
}

/// An attempt to connect, or to authenticate again, that failed.
package struct ConnectingFailure: Sendable {
    package let error: RedisError
    /// The number of the attempt, counted from 1, since it last went well.
    package let attempt: Int
    /// After which delay the next attempt follows; `nil` if there is none.
    package let retryAfter: Duration?
    /// When it failed, by the clock of the event loop.
    package let time: NIODeadline
}

/// The end of a connection.
package struct ConnectionEnd: Sendable {
    package let connection: ConnectionReport
    package let reason: RedisError
    /// How many commands got no reply.
    package let pendingCommands: Int
}
