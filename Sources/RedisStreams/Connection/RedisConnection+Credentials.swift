internal import NIOCore

/// How a connection got in, if a credentials provider was asked.
struct Login {
    /// Which credentials the server has accepted.
    var number: Int
    /// How many times in a row they could not be renewed.
    var failures = 0
    /// Fires when they have to be renewed.
    var timer: Scheduled<Void>?
    /// Under which name the connection waits for others.
    let waiter: CredentialsSource.Waiter
}

/// Authenticates again before the credentials expire. The connection stays open, whatever comes of it.
extension RedisConnection {
    /// Begins to keep the connection authenticated. The server has accepted `issue`.
    func keepAuthenticated(_ issue: CredentialsSource.Issue) {
        guard let source = configuration.credentialsProvider?.source else { return }
        login = Login(number: issue.number, waiter: source.newWaiter())
        scheduleRenewal(at: issue.renewAt)
    }

    /// The connection has ended.
    func endLogin() {
        guard let login = self.login.take() else { return }
        login.timer?.cancel()
        configuration.credentialsProvider?.source.leave(login.waiter)
    }

    private func scheduleRenewal(at deadline: NIODeadline?) {
        guard let deadline else { return }
        login?.timer = eventLoop.scheduleTask(deadline: deadline) { self.assumeIsolated { $0.renewCredentials() } }
    }

    private func renewCredentials() {
        guard let login, let source = configuration.credentialsProvider?.source else { return }
        source.request(
            login.waiter,
            replacing: login.number,
            on: eventLoop,
            timeout: configuration.connectTimeout
        ) { outcome in
            // Never at once: the connection may be reading a reply.
            self.eventLoop.execute { self.assumeIsolated { $0.credentialsCame(outcome) } }
        }
    }

    private func credentialsCame(_ outcome: CredentialsSource.Outcome) {
        if login == nil { return }
        switch outcome {
        case .success(let issue): authenticate(issue)
        case .failure(let error): notRenewed(error)
        }
    }

    /// Sends `AUTH` behind everything that was submitted before. A read that blocks returns first, since BLOCK is bounded; the
    /// next read is sent behind the `AUTH`.
    private func authenticate(_ issue: CredentialsSource.Issue) {
        flush()
        hide(issue.credentials.password)
        let command = AUTH(
            username: issue.credentials.username,
            password: issue.credentials.password.value,
            // The deadline of the reply must not end a connection that rightly waits for a read.
            blockingTime: latestDeadline.map { Duration($0 - eventLoop.now) }
        )
        enqueue(command) { outcome in self.assumeIsolated { $0.authenticated(outcome, issue) } }
        flush()
    }

    private func authenticated(_ outcome: PendingReplies.Outcome, _ issue: CredentialsSource.Issue) {
        // Without a reply the connection has ended, or is closing.
        guard login != nil, let reply = try? outcome.get() else { return }
        if let error = reply.serverError(command: AUTH.name) {
            configuration.credentialsProvider?.source.reject(issue.number)
            return notRenewed(error)
        }
        login?.number = issue.number
        login?.failures = 0
        scheduleRenewal(at: issue.renewAt)
    }

    /// The server still knows this client by the former credentials.
    private func notRenewed(_ error: RedisError) {
        let failures = (login?.failures ?? 0) + 1
        login?.failures = failures
        let delay = CredentialsStateMachine.delay(afterFailures: failures)
        scheduleRenewal(at: eventLoop.now + delay)
        let failure = ConnectingFailure(
            error: error,
            attempt: failures,
            retryAfter: Duration(delay),
            time: eventLoop.now
        )
        for instrument in instruments.connections { instrument.credentialsNotRenewed(failure) }
    }
}
