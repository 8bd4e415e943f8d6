internal import NIOCore

extension RedisConnection {
    /// Performs the handshake: `AUTH`, `SELECT`, `CLIENT SETNAME`, `CLIENT ID`, and a `PING`, which a server refuses that
    /// cannot serve yet.
    ///
    /// - Parameter issue: The credentials, if a provider was asked for them.
    func performHandshake(
        on stream: any ByteStream,
        _ issue: CredentialsSource.Issue?
    ) async throws(RedisError) {
        try attach(stream)
        let handshake = Handshake(configuration)
        let deadline = eventLoop.scheduleTask(in: TimeAmount(configuration.connectTimeout)) {
            self.assumeIsolated { $0.handshakeOverdue() }
        }
        defer { deadline.cancel() }
        let outcomes = await sendTogether(count: handshake.steps.count, blocks: false, handshake.write)
        for (step, outcome) in zip(handshake.steps, outcomes) {
            try handshake.check(outcome, of: step)
            if step == .identify, let id = try? outcome.get().integer { identify(id) }
        }
        try open()
        if let issue { keepAuthenticated(issue) }
    }

    private func handshakeOverdue() {
        if stream?.isEncrypted == false { return ended(with: .tlsTimedOut) }
        ended(
            with: RedisError(
                .connectTimeout,
                "The peer accepted the connection and did not answer in time. Is it a Redis server, and do both "
                    + "sides agree on TLS?"
            )
        )
    }
}

/// The commands that a new connection sends before the pool gives it out.
struct Handshake: Sendable {
    enum Step: Sendable {
        case authenticate, select, setName, identify, ping, role
    }

    let steps: [Step]
    private let configuration: RedisConnection.Configuration

    init(_ configuration: RedisConnection.Configuration) {
        self.configuration = configuration
        var steps: [Step] = []
        if configuration.password != nil { steps.append(.authenticate) }
        if configuration.database != 0 { steps.append(.select) }
        if configuration.clientName != nil { steps.append(.setName) }
        steps += [.identify, .ping]
        if configuration.requiresMaster { steps.append(.role) }
        self.steps = steps
    }

    func write(_ writer: inout CommandWriter) {
        for step in steps {
            switch step {
            case .authenticate:
                writer.write(AUTH(username: configuration.username, password: configuration.password?.value ?? ""))
            case .select: writer.write(SELECT(configuration.database))
            case .setName: writer.write(CLIENT.SETNAME(configuration.clientName ?? ""))
            case .identify: writer.write(CLIENT.ID())
            case .ping: writer.write(PING())
            case .role: writer.write(ROLE())
            }
        }
    }

    func check(_ outcome: PendingReplies.Outcome, of step: Step) throws(RedisError) {
        let reply = try outcome.get()
        guard let error = reply.serverError(command: Self.name(of: step)) else {
            if step == .role { return try Self.checkMaster(try ROLE().decode(reply)) }
            // A proxy without CLIENT ID may answer OK, which is accepted.
            guard reply.isText(step == .ping ? "PONG" : "OK") || step == .identify && reply.integer != nil else {
                throw RedisError(
                    .protocolViolation,
                    "The peer answers, and not as Redis does. Is it a Redis server?",
                    command: Self.name(of: step)
                )
            }
            return
        }
        switch (step, error.code) {
        // Some users may not do these, and some servers do not know them. Nothing depends on them.
        case (.setName, .permissionDenied), (.setName, .serverError), (.ping, .permissionDenied): return
        case (.role, .permissionDenied), (.role, .serverError), (.role, .busy): return
        case (.identify, .permissionDenied), (.identify, .serverError): return
        // The server is alive, and refuses only for now.
        case (.setName, .busy), (.identify, .busy), (.ping, .misconfigured), (.ping, .busy): return
        case (.authenticate, .serverError):
            throw RedisError(
                .authenticationFailed,
                "The server refused AUTH: it has no password or user of this kind configured.",
                command: "AUTH",
                serverCode: error.serverCode
            )
        case (.select, .serverError):
            throw RedisError(
                .invalidConfiguration,
                "The server has no database \(configuration.database) (\(error.message)).",
                command: "SELECT",
                serverCode: error.serverCode
            )
        default: throw error
        }
    }

    private static func checkMaster(_ role: ServerRole) throws(RedisError) {
        if case .replica = role {
            throw RedisError(
                .connectionUnavailable,
                "The server says that it is a replica: a failover is under way, or the sentinels are behind.",
                command: ROLE.name
            )
        }
    }

    private static func name(of step: Step) -> String {
        switch step {
        case .authenticate: "AUTH"
        case .select: "SELECT"
        case .setName: "CLIENT SETNAME"
        case .identify: "CLIENT ID"
        case .ping: "PING"
        case .role: "ROLE"
        }
    }
}
