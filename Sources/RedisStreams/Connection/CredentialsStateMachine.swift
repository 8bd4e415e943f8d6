internal import NIOCore

/// Which credentials connections use, and when the provider is asked for others. Free of tasks, clocks and locks:
/// `CredentialsSource` performs what it says.
///
/// At most one call of the provider counts at a time, and everybody who needs its result waits for it. What the provider
/// returned is used until it expires; connections that are open ask for the next one when most of that time has passed.
struct CredentialsStateMachine {
    typealias Waiter = Int
    typealias Call = Int

    /// What the provider returned.
    struct Issue: Sendable {
        /// Later ones have higher numbers.
        let number: Int
        let credentials: RedisCredentials
        /// When connections that use them need the next ones; `nil` if that is not known.
        let renewAt: NIODeadline?
        /// From then on, no new connection uses them.
        let expiresAt: NIODeadline
    }

    private struct Failure {
        let error: RedisError
        let count: Int
        let retryAt: NIODeadline
    }

    private var issue: Issue?
    private var call: (id: Call, waiters: [Waiter])?
    private var failure: Failure?
    private var lastCall = 0
    private var lastIssue = 0

    private static let validity = Duration.milliseconds(100)...Duration.seconds(365 * 86_400)

    enum Answer {
        case use(Issue)
        /// Wait for the call that is under way.
        case wait
        /// Call the provider, and wait for that call.
        case call(Call)
        case fail(RedisError)
    }

    /// A connection needs credentials.
    ///
    /// - Parameter former: The number of those that it uses and that it has to replace; `nil` for a new connection.
    mutating func request(_ waiter: Waiter, replacing former: Int? = nil, now: NIODeadline) -> Answer {
        if let issue, isUsable(issue, replacing: former, now: now) { return .use(issue) }
        if call != nil {
            call?.waiters.append(waiter)
            return .wait
        }
        if let failure, now < failure.retryAt { return .fail(failure.error) }
        lastCall += 1
        call = (lastCall, [waiter])
        return .call(lastCall)
    }

    private func isUsable(_ issue: Issue, replacing former: Int?, now: NIODeadline) -> Bool {
        guard let former else { return now < issue.expiresAt }
        return issue.number > former && now < issue.renewAt ?? issue.expiresAt
    }

    /// The provider has returned. Returns who waited for it; `nil` if that call does not count any more.
    mutating func succeeded(
        _ id: Call,
        _ credentials: RedisCredentials,
        now: NIODeadline
    ) -> (issue: Issue, waiters: [Waiter])? {
        guard let call, call.id == id else { return nil }
        self.call = nil
        failure = nil
        lastIssue += 1
        let validity = credentials.validFor.map { min(max($0, Self.validity.lowerBound), Self.validity.upperBound) }
        let issue = Issue(
            number: lastIssue,
            credentials: credentials,
            renewAt: validity.map { now + TimeAmount($0 * 0.8) },
            expiresAt: now + TimeAmount(validity ?? .zero)
        )
        self.issue = issue
        return (issue, call.waiters)
    }

    /// The provider has thrown, or has taken too long. Returns who waited for it; `nil` if that call does not count any more.
    mutating func failed(_ id: Call, _ error: RedisError, now: NIODeadline) -> [Waiter]? {
        guard let call, call.id == id else { return nil }
        self.call = nil
        let count = (failure?.count ?? 0) + 1
        failure = Failure(error: error, count: count, retryAt: now + Self.delay(afterFailures: count))
        return call.waiters
    }

    /// Somebody does not wait any more. Returns the call that nobody waits for now: it does not count any more.
    mutating func leave(_ waiter: Waiter) -> Call? {
        guard let call, call.waiters.contains(waiter) else { return nil }
        let others = call.waiters.filter { $0 != waiter }
        self.call = others.isEmpty ? nil : (call.id, others)
        return others.isEmpty ? call.id : nil
    }

    /// The server has refused these credentials: nobody is given them any more.
    mutating func reject(_ number: Int) {
        if issue?.number == number { issue = nil }
    }

    /// Whether the result of this call counts.
    func isUnderWay(_ id: Call) -> Bool { call?.id == id }

    /// How long to wait after so many failures in a row.
    static func delay(afterFailures count: Int) -> TimeAmount { TimeAmount(Backoff().delay(attempt: count, jitter: 1)) }
}
