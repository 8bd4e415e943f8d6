internal import NIOCore
internal import Synchronization

/// The connections of a client to one server, at whatever address its connector finds it.
///
/// Performs what `PoolStateMachine` decides. The tasks of `run()` make the shared connections; a leased connection is made
/// by the task that asks for it.
final class ConnectionPool: Sendable {
    struct Settings: Sendable {
        var sharedConnections: Int
        var maxLeasedConnections: Int
        var acquireTimeout: Duration
        var backoff: Backoff
        /// Whether a caller waits while the pool tries to connect again. In a cluster it does not, since another node may
        /// serve its keys by then.
        var triesAgain = true
    }

    private struct State: ~Copyable {
        var machine: PoolStateMachine<RedisConnection>
        var waiters: [Int: Waiter] = [:]
        var nextWaiter = 0
    }

    private struct Waiter {
        let continuation: CheckedContinuation<Result<RedisConnection?, RedisError>, Never>
        let timer: Scheduled<Void>

        func resume(_ result: Result<RedisConnection?, RedisError>) {
            timer.cancel()
            continuation.resume(returning: result)
        }
    }

    let settings: Settings
    /// Draws a number from 0 to 1. A simulation says which.
    let randomness: @Sendable () -> Double
    let eventLoops: EventLoops
    private let connector: any Connector
    private let instruments: Instruments
    private let background: BackgroundTasks
    private let observer: Observer
    private let state: Mutex<State>

    /// What the node of the pool wants to know. The pool itself draws no conclusion from it.
    struct Observer: Sendable {
        /// The server of a connection says that it is not the master.
        var onNotMaster: @Sendable (ConnectionPool) -> Void = { _ in }
        /// A node of a cluster sends the client on to another one; `nil` if the server is none.
        var onRedirection: (@Sendable (Redirection) -> Void)?
        /// A connection has ended that this client did not end itself, or could not be made.
        var onLoss: (@Sendable (RedisError) -> Void)?
    }

    init(
        settings: Settings,
        connector: any Connector,
        eventLoops: EventLoops,
        background: BackgroundTasks,
        instruments: Instruments,
        randomness: @escaping @Sendable () -> Double = { .random(in: 0...1) },
        observer: Observer
    ) {
        self.settings = settings
        self.randomness = randomness
        self.connector = connector
        self.eventLoops = eventLoops
        self.background = background
        self.instruments = instruments
        self.observer = observer
        state = Mutex(
            State(
                machine: PoolStateMachine(
                    sharedConnections: settings.sharedConnections,
                    maxLeases: settings.maxLeasedConnections,
                    maxIdle: Self.maxIdleLeases,
                    triesAgain: settings.triesAgain
                )
            )
        )
    }

    private static let maxIdleLeases = 8

    /// The clock that leases on these connections go by.
    var leaseClock: LeaseClock { connector.leaseClock }

    /// An event loop for an engine and its connection.
    func nextEventLoop() -> any EventLoop { eventLoops.next() }

    /// Closes all connections, and fails all callers that wait.
    func close() {
        let (waiters, connections) = state.withLock { state in
            let (ids, connections) = state.machine.close()
            return (ids.compactMap { state.waiters.removeValue(forKey: $0) }, connections)
        }
        for waiter in waiters { waiter.resume(.failure(PoolStateMachine<RedisConnection>.shutDown)) }
        for connection in connections { connection.close() }
    }

    /// Closes the pool of a node that no caller should use any more. Connections end behind the replies that are still to
    /// come, and callers get `reason`.
    func retire(because reason: RedisError) {
        let (waiters, old) = state.withLock { state in
            let old = state.machine.retireAll()
            let ids = state.machine.close(because: reason).waiters
            return (ids.compactMap { state.waiters.removeValue(forKey: $0) }, old)
        }
        for waiter in waiters { waiter.resume(.failure(reason)) }
        end(old)
    }

    /// Whether a caller has a lease.
    var isLeased: Bool { state.withLock { $0.machine.isLeased } }

    // MARK: Shared connections

    /// A connection for commands that return at once. Waits until one is there, or the deadline has passed.
    ///
    /// - Parameter preferred: The connection to use as long as it is one of the shared ones, for commands whose order matters.
    func shared(preferring preferred: RedisConnection? = nil) async throws(RedisError) -> RedisConnection {
        if let preferred, state.withLock({ $0.machine.isShared(preferred) }) { return preferred }
        if let connection = readyShared() { return connection }
        let connection = try await acquire(.shared) { state, waiter in
            switch state.machine.acquireShared(waiter) {
            case .use(let connection, let slots): return .ready(.success(connection), connect: slots)
            case .fail(let error): return .ready(.failure(error))
            case .wait(let slots): return .wait(connect: slots)
            }
        }
        guard let connection else { throw PoolStateMachine<RedisConnection>.shutDown }
        return connection
    }

    /// A shared connection without waiting; `nil` if one of them is missing. Nearly always all of them are there.
    func readyShared() -> RedisConnection? {
        state.withLock { $0.machine.readyShared() }
    }

    /// Whether there is a shared connection.
    var hasReadyShared: Bool { state.withLock { $0.machine.hasReady } }

    /// Begins to make the shared connections that are missing, for a caller that needs one later and cannot wait then.
    func prepareShared() {
        for slot in state.withLock({ $0.machine.prepareShared() }) { connect(slot: slot) }
    }

    private func connect(slot: Int) {
        background.start {
            await self.connectNow(slot: slot)
        } otherwise: { error in
            self.connectFailed(error, slot: slot)
        }
    }

    private func connectNow(slot: Int) async {
        do throws(RedisError) {
            let connection = try await connect(on: eventLoops.next())
            let (isCurrent, resumed): (Bool, [Waiter]?) = state.withLock { state in
                guard connector.isCurrent(connection) else { return (false, nil) }
                let waiters = state.machine.connected(connection, slot: slot)
                return (true, waiters?.compactMap { state.waiters.removeValue(forKey: $0) })
            }
            guard let resumed else {
                connection.close()
                if !isCurrent { connectFailed(Self.superseded, slot: slot) }
                return
            }
            observe(connection) { machine in machine.lost(connection, slot: slot) }
            for waiter in resumed { waiter.resume(.success(connection)) }
        } catch {
            connectFailed(error, slot: slot)
        }
    }

    private func connectFailed(_ error: RedisError, slot: Int) {
        let (failed, retry): ([Waiter], Int?) = state.withLock { state in
            let action = state.machine.connectFailed(error, slot: slot)
            return (action.failed.compactMap { state.waiters.removeValue(forKey: $0) }, action.retry)
        }
        for waiter in failed { waiter.resume(.failure(error)) }
        guard let retry else { return }
        let delay = settings.backoff.delay(attempt: retry, jitter: randomness(), after: error)
        eventLoops.timers.scheduleTask(in: TimeAmount(delay)) {
            if self.state.withLock({ $0.machine.backoffEnded(slot: slot) }) { self.connect(slot: slot) }
        }
        reportFailure(error, attempt: retry, retryAfter: delay)
    }

    private func reportFailure(_ error: RedisError, attempt: Int, retryAfter delay: Duration?) {
        let time = eventLoops.timers.now
        observer.onLoss?(error)
        for instrument in instruments.connections {
            instrument.connectingFailed(.init(error: error, attempt: attempt, retryAfter: delay, time: time))
        }
    }

    // MARK: Leases

    /// Leases a connection to one caller, on `eventLoop` if given. The caller returns it by `release`.
    ///
    /// The pool tries again until the deadline if an error may pass.
    func lease(on eventLoop: (any EventLoop)? = nil) async throws(RedisError) -> RedisConnection {
        try await background.waitUntilBegun()
        let isSuitable = { @Sendable (connection: RedisConnection) in
            eventLoop == nil || connection.eventLoop === eventLoop
        }
        let idle = try await acquire(.leased) { state, waiter in
            switch state.machine.acquireLease(waiter, where: isSuitable) {
            case .use(let connection): return .ready(.success(connection))
            case .connect: return .ready(.success(nil))
            case .fail(let error): return .ready(.failure(error))
            case .wait: return .wait(connect: [])
            }
        }
        // A caller that had to wait may find the connection that another one has released.
        if let idle = idle ?? state.withLock({ $0.machine.takeIdle(where: isSuitable) }) {
            for instrument in instruments.pools { instrument.connectionLeased(isNew: false) }
            return idle
        }
        do throws(RedisError) {
            let connection = try await connectLease(on: eventLoop ?? eventLoops.next())
            let refusal: RedisError? = state.withLock { state in
                guard connector.isCurrent(connection) else { return Self.superseded }
                return state.machine.leaseConnected(connection) ? nil : state.machine.closeReason
            }
            if let refusal {
                connection.close()
                throw refusal
            }
            observe(connection) { machine in machine.lostIdle(connection) }
            for instrument in instruments.pools { instrument.connectionLeased(isNew: true) }
            return connection
        } catch {
            endLease(nil, isReusable: false)
            throw error
        }
    }

    private func connectLease(on eventLoop: any EventLoop) async throws(RedisError) -> RedisConnection {
        let deadline = eventLoop.now + TimeAmount(settings.acquireTimeout)
        var attempt = 0
        while true {
            attempt += 1
            do throws(RedisError) {
                return try await connect(on: eventLoop)
            } catch {
                let delay = settings.backoff.delay(attempt: attempt, jitter: randomness(), after: error)
                let isLast =
                    !error.isRetriable || !settings.triesAgain || Task.isCancelled
                    || eventLoop.now + TimeAmount(delay) > deadline
                reportFailure(error, attempt: attempt, retryAfter: isLast ? nil : delay)
                if isLast { throw error }
                await eventLoop.sleep(for: delay)
            }
        }
    }

    /// Ends a lease. The pool keeps the connection if it is idle, and closes it otherwise.
    func release(_ connection: RedisConnection) {
        connection.onEventLoop { self.release(onEventLoopOf: $0) }
    }

    /// Ends a lease, as `release` does, and returns when that is done: the next caller can get the connection.
    func released(_ connection: RedisConnection) async {
        await release(onEventLoopOf: connection)
    }

    private func release(onEventLoopOf connection: isolated RedisConnection) {
        let isReusable = connection.isIdle
        if !isReusable { connection.close() }
        endLease(connection, isReusable: isReusable)
    }

    private func endLease(_ connection: RedisConnection?, isReusable: Bool) {
        let (waiter, closing): (Waiter?, [RedisConnection]) = state.withLock { state in
            let action = state.machine.releaseLease(connection, isReusable: isReusable)
            return (action.next.flatMap { state.waiters.removeValue(forKey: $0) }, action.close)
        }
        for connection in closing { connection.close() }
        if connection != nil {
            for instrument in instruments.pools { instrument.connectionReleased(isKept: isReusable && closing.isEmpty) }
        }
        waiter?.resume(.success(nil))
    }

    /// Makes a connection. The router has to learn of the first redirection, too, so that is arranged before anybody gets it.
    private func connect(on eventLoop: any EventLoop) async throws(RedisError) -> RedisConnection {
        let connection = try await connector.connect(on: eventLoop)
        if let onRedirection = observer.onRedirection { connection.whenRedirected(onRedirection) }
        return connection
    }

    /// Has `end` called when the connection has ended, and reports to the node what the server says of itself.
    ///
    /// The connection keeps the pool until it ends, and `close()` ends all connections. A weak reference would make each
    /// count of references to the pool, which commands take, slower.
    private func observe(
        _ connection: RedisConnection,
        end: @escaping @Sendable (inout PoolStateMachine<RedisConnection>) -> Void
    ) {
        connection.whenClosed { reason in
            self.state.withLock { end(&$0.machine) }
            if !connection.assumeIsolated({ $0.wasEndedByClient }) { self.observer.onLoss?(reason) }
        }
        connection.whenNotMaster { self.observer.onNotMaster(self) }
    }

    // MARK: Another master

    /// Ends every connection behind the replies that are still to come. Callers get new connections from now on.
    func retireConnections() {
        end(state.withLock { $0.machine.retireAll() })
    }

    private func end(_ old: PoolStateMachine<RedisConnection>.RetireAction) {
        for connection in old.idle { connection.close() }
        for connection in old.inUse { connection.retire() }
        let count = old.idle.count + old.inUse.count
        if count == 0 { return }
        for instrument in instruments.pools { instrument.connectionsRetired(count: count) }
    }

    /// Ends every connection at once, whatever is on its way on it: the commands fail with `reason`, and the server may have
    /// executed them. Callers get new connections from now on.
    func endConnections(because reason: RedisError) {
        for connection in state.withLock({ $0.machine.endAll() }) { connection.end(because: reason) }
    }

    private static var superseded: RedisError {
        RedisError(.connectionUnavailable, "The master was replaced while the client connected to it.")
    }

    // MARK: Waiting

    /// How many callers wait for a connection.
    var waitingCount: Int { state.withLock { $0.waiters.count } }

    private enum Acquisition {
        case ready(Result<RedisConnection?, RedisError>, connect: [Int] = [])
        case wait(connect: [Int])
    }

    /// Asks the machine for a connection, and waits until the deadline if it has none yet.
    private func acquire(
        _ kind: PoolWait.Kind,
        isolation: isolated (any Actor)? = #isolation,
        _ ask: @Sendable (inout State, Int) -> Acquisition
    ) async throws(RedisError) -> RedisConnection? {
        let waiter = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        var begin: NIODeadline?
        let result: Result<RedisConnection?, RedisError> = await withTaskCancellationHandler {
            _ = isolation
            return await withCheckedContinuation { continuation in
                let acquisition = state.withLock { state in
                    let acquisition = ask(&state, waiter)
                    if case .wait = acquisition {
                        state.waiters[waiter] = Waiter(continuation: continuation, timer: deadline(of: waiter))
                    }
                    return acquisition
                }
                switch acquisition {
                case .ready(let result, let slots):
                    for slot in slots { connect(slot: slot) }
                    continuation.resume(returning: result)
                case .wait(let slots):
                    begin = eventLoops.timers.now
                    for slot in slots { connect(slot: slot) }
                    // The cancellation may have come before the waiter was there to be removed.
                    if Task.isCancelled { stopWaiting(waiter) { _ in Self.cancelled } }
                }
            }
        } onCancel: {
            stopWaiting(waiter) { _ in Self.cancelled }
        }
        if let begin { reportWait(kind, since: begin, result) }
        return try result.get()
    }

    private func reportWait(
        _ kind: PoolWait.Kind,
        since begin: NIODeadline,
        _ result: Result<RedisConnection?, RedisError>
    ) {
        let duration = Duration(eventLoops.timers.now - begin)
        var error: RedisError?
        if case .failure(let reason) = result { error = reason }
        for instrument in instruments.pools {
            instrument.callerWaited(.init(kind: kind, duration: duration, error: error))
        }
    }

    private func deadline(of waiter: Int) -> Scheduled<Void> {
        eventLoops.timers.scheduleTask(in: TimeAmount(settings.acquireTimeout)) {
            let isRunning = self.background.isRunning
            self.stopWaiting(waiter) { state in state.machine.expired(waiter, isRunning: isRunning) }
        }
    }

    private func stopWaiting(_ id: Int, because reason: (borrowing State) -> RedisError) {
        let (waiter, error): (Waiter?, RedisError) = state.withLock { state in
            let error = reason(state)
            guard state.machine.removeWaiter(id) else { return (nil, error) }
            return (state.waiters.removeValue(forKey: id), error)
        }
        waiter?.resume(.failure(error))
    }

    static var cancelled: RedisError {
        RedisError(.cancelled, "The task was cancelled while it waited for a connection.")
    }
}
