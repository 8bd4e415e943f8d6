internal import NIOCore
internal import Synchronization

/// Asks a credentials provider for all connections that use it.
///
/// Performs what `CredentialsStateMachine` decides. The provider runs in a task of its own: a connection that has waited long
/// enough must not wait for code of the user that does not return.
final class CredentialsSource: Sendable {
    typealias Issue = CredentialsStateMachine.Issue
    typealias Outcome = Result<Issue, RedisError>
    typealias Waiter = CredentialsStateMachine.Waiter
    private typealias Call = CredentialsStateMachine.Call

    private struct Running {
        let call: Call
        let task: Task<Void, Never>
        let timer: Scheduled<Void>

        func cancel() {
            timer.cancel()
            task.cancel()
        }
    }

    private struct End {
        let outcome: Outcome
        let completions: [@Sendable (Outcome) -> Void]
        let running: Running?
    }

    private struct State {
        var machine = CredentialsStateMachine()
        var completions: [Waiter: @Sendable (Outcome) -> Void] = [:]
        var lastWaiter = 0
        var running: Running?

        mutating func takeRunning(_ call: Call) -> Running? {
            running?.call == call ? running.take() : nil
        }

        /// The provider has returned or thrown, or has taken too long. Returns `nil` if that call does not count any more.
        mutating func end(_ call: Call, _ result: Result<RedisCredentials, RedisError>, now: NIODeadline) -> End? {
            let outcome: Outcome
            let waiters: [Waiter]
            switch result {
            case .success(let credentials):
                guard let action = machine.succeeded(call, credentials, now: now) else { return nil }
                outcome = .success(action.issue)
                waiters = action.waiters
            case .failure(let error):
                guard let left = machine.failed(call, error, now: now) else { return nil }
                outcome = .failure(error)
                waiters = left
            }
            let completions = waiters.compactMap { self.completions.removeValue(forKey: $0) }
            return End(outcome: outcome, completions: completions, running: takeRunning(call))
        }
    }

    private let provide: @Sendable () async throws -> RedisCredentials
    private let state = Mutex(State())

    init(_ provide: @escaping @Sendable () async throws -> RedisCredentials) {
        self.provide = provide
    }

    // MARK: Asking

    /// A name for somebody who is going to ask.
    func newWaiter() -> Waiter {
        state.withLock { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
    }

    /// Calls `completion` with credentials, or with the reason why there are none: before this returns, or later on any
    /// thread.
    ///
    /// - Parameters:
    ///   - former: The number of those that have to be replaced; `nil` for a new connection.
    ///   - timeout: How long the provider may take, if this calls it.
    func request(
        _ waiter: Waiter,
        replacing former: Int? = nil,
        on eventLoop: any EventLoop,
        timeout: Duration,
        then completion: @escaping @Sendable (Outcome) -> Void
    ) {
        let now = eventLoop.now
        let answer = state.withLock { state in
            let answer = state.machine.request(waiter, replacing: former, now: now)
            switch answer {
            case .wait, .call: state.completions[waiter] = completion
            case .use, .fail: break
            }
            return answer
        }
        switch answer {
        case .use(let issue): completion(.success(issue))
        case .fail(let error): completion(.failure(error))
        case .call(let call): begin(call, on: eventLoop, timeout: timeout)
        case .wait: break
        }
    }

    /// Credentials for a new connection.
    ///
    /// - Throws: ``RedisError``: the provider failed or took too long, or the task was cancelled.
    func credentials(on eventLoop: any EventLoop, timeout: Duration) async throws(RedisError) -> Issue {
        let waiter = newWaiter()
        let outcome: Outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                request(waiter, on: eventLoop, timeout: timeout) { continuation.resume(returning: $0) }
                // The cancellation may have come before the waiter was there to be removed.
                if Task.isCancelled { leave(waiter) }
            }
        } onCancel: {
            leave(waiter)
        }
        return try outcome.get()
    }

    /// Ends a wait, if it is not over. A call of the provider that nobody waits for is cancelled.
    func leave(_ waiter: Waiter) {
        let (completion, running) = state.withLock { state in
            let call = state.machine.leave(waiter)
            return (state.completions.removeValue(forKey: waiter), call.flatMap { state.takeRunning($0) })
        }
        running?.cancel()
        completion?(.failure(.cancelledWaiting(mayHaveExecuted: false)))
    }

    /// The server has refused these credentials: nobody is given them any more.
    func reject(_ number: Int) {
        state.withLock { $0.machine.reject(number) }
    }

    // MARK: Calling the provider

    private func begin(_ call: Call, on eventLoop: any EventLoop, timeout: Duration) {
        let timer = eventLoop.scheduleTask(in: TimeAmount(timeout)) {
            self.ended(call, .failure(Self.timedOut), now: eventLoop.now)
        }
        let task = Task.detached { [provide] in
            let result: Result<RedisCredentials, RedisError>
            do { result = .success(try await provide()) } catch { result = .failure(Self.failed(error)) }
            self.ended(call, result, now: eventLoop.now)
        }
        let running = Running(call: call, task: task, timer: timer)
        let isOver = state.withLock { state in
            let isOver = !state.machine.isUnderWay(call)
            if !isOver { state.running = running }
            return isOver
        }
        if isOver { running.cancel() }
    }

    private func ended(_ call: Call, _ result: Result<RedisCredentials, RedisError>, now: NIODeadline) {
        guard let end = state.withLock({ $0.end(call, result, now: now) }) else { return }
        end.running?.cancel()
        for completion in end.completions { completion(end.outcome) }
    }

    private static var timedOut: RedisError {
        RedisError(
            .connectionUnavailable,
            "The credentials provider did not return within connectTimeout. Let it throw in time, or raise connectTimeout."
        )
    }

    /// The error of the provider may hold a secret: only its type is shown.
    private static func failed(_ error: any Error) -> RedisError {
        RedisError(
            .connectionUnavailable,
            "The credentials provider threw an error of the type \(type(of: error)), so that the client cannot log in.",
            cause: error
        )
    }
}
