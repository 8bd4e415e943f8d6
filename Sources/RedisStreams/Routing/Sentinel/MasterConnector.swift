internal import NIOCore
internal import Synchronization

/// Connects to the master that the sentinels name.
///
/// While that one cannot be reached, or says by `ROLE` that it is a replica, the connector waits for the sentinels to name
/// another one: a failover shows as a delay, and not as a row of errors with growing delays between attempts.
struct MasterConnector: Connector {
    let directory: SentinelDirectory
    let server: CurrentServer
    let base: NodeConnector
    let background: BackgroundTasks
    let backoff: Backoff
    let randomness: @Sendable () -> Double

    /// The longest time from one attempt at the same master to the next.
    private static let longestPause = Duration.seconds(1)

    func connect(on eventLoop: any EventLoop) async throws(RedisError) -> RedisConnection {
        let deadline = eventLoop.now + TimeAmount(base.connectTimeout)
        var attempt = 0
        while true {
            let master = try await directory.master(until: deadline)
            do throws(RedisError) {
                let connection = try await connect(to: master, on: eventLoop)
                directory.verified(master.address)
                return connection
            } catch {
                directory.ask(because: .connection)
                attempt += 1
                let pause = min(backoff.delay(attempt: attempt, jitter: randomness()), Self.longestPause)
                let isOver = eventLoop.now + TimeAmount(pause) >= deadline || Task.isCancelled
                guard error.isRetriable, !isOver else { throw error.about(master: master.address) }
                await directory.another(than: master, within: pause)
            }
        }
    }

    /// Makes one attempt, and gives it up as soon as the master is another one: a host that is down does not even refuse.
    private func connect(
        to master: CurrentServer.Master,
        on eventLoop: any EventLoop
    ) async throws(RedisError) -> RedisConnection {
        let attempt = Promise<RedisConnection>()
        let observer = server.whenReplaced { attempt.fulfill(.failure(.masterReplaced)) }
        defer { server.forget(observer) }
        background.start {
            do throws(RedisError) {
                let connection = try await base.connect(to: master, on: eventLoop)
                // The attempt was given up meanwhile.
                if !attempt.fulfill(.success(connection)) { connection.close() }
            } catch {
                attempt.fulfill(.failure(error))
            }
        } otherwise: { error in
            attempt.fulfill(.failure(error))
        }
        // It may have been replaced before that was observed.
        if server.identity != master.identity { attempt.fulfill(.failure(.masterReplaced)) }
        return try await attempt.value()
    }

    /// Whether it leads to the present master.
    func isCurrent(_ connection: RedisConnection) -> Bool { connection.leads(to: server.identity) }

    var leaseClock: LeaseClock { base.leaseClock }
}

extension RedisError {
    /// Why the connections to a master end that is none any more.
    static var masterReplaced: RedisError {
        RedisError(.connectionClosed, "The sentinels have named another master.")
    }

    /// The same error with a message that says which master could not be connected to.
    fileprivate func about(master: ServerAddress) -> RedisError {
        RedisError(
            code,
            "The sentinels name \(master) as the master. \(message)",
            command: command,
            serverCode: serverCode,
            cause: cause
        )
    }
}
