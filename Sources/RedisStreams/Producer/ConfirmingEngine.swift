internal import NIOCore

/// Sends the messages in a producer's buffer, one batch after another, and has each confirmed by `WAIT` or `WAITAOF`.
///
/// These commands are about the writes of the connection that they are sent on, and the server executes nothing behind them
/// until they end. So the engine leases a connection for as long as it works, and sends the next batch after the confirmation
/// of the one before.
actor ConfirmingEngine {
    nonisolated let eventLoop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe eventLoop.executor.asUnownedSerialExecutor() }

    private let command: ConfirmationCommand
    private let delay: Duration
    private let buffer: ProducerBuffer
    private let route: any Route
    /// The connection of the last batch, whose server has been probed.
    private var leased: RedisConnection?

    init(
        _ client: RedisClient,
        _ stream: StreamKey,
        _ command: ConfirmationCommand,
        delay: Duration,
        _ buffer: ProducerBuffer
    ) {
        self.command = command
        self.delay = delay
        self.buffer = buffer
        route = client.router.route(for: stream)
        eventLoop = client.nextEventLoop()
    }

    /// Sends until the buffer is finished and empty.
    func run() async {
        while await buffer.waitForWork() {
            await buffer.coalesce(for: delay, on: eventLoop)
            let (items, bytes, number) = buffer.takeBatch()
            await send(items)
            buffer.settled(batch: number, count: items.count, bytes: bytes)
        }
        await endLease()
        buffer.fail(PoolStateMachine<RedisConnection>.shutDown)
    }

    private func send(_ items: [ProducerBuffer.Item]) async {
        var batch = ConfirmedBatch(items, command)
        while !batch.unsent.isEmpty {
            do throws(RedisError) {
                let connection = try await connection()
                let (replies, confirmation) = await exchange(batch.unsent, on: connection)
                let step = batch.answered(replies, confirmation)
                for (item, outcome) in step.outcomes { buffer.fulfill(item, outcome) }
                if let redirection = step.redirection { route.follow(redirection) }
                // Once the slot has its new owner, messages need no ASKING any more.
                if !step.keepsConnection || connection.configuration.asks { await endLease() }
            } catch {
                for item in batch.abandoned() { buffer.fulfill(item, .failure(error)) }
            }
        }
    }

    /// Sends the messages and the command behind them in one write.
    private func exchange(
        _ items: [ProducerBuffer.Item],
        on connection: RedisConnection
    ) async -> ([Result<StreamID, RedisError>], Result<ConfirmationCommand.Confirmed, RedisError>) {
        let entries = items.enqueue(on: connection)
        let confirmation = connection.enqueue(count: 1) { $0.write(command.request) }
        let replies = await entries.outcomesInAnyCase()
        let ids = zip(items, replies).map { item, reply in item.id(from: reply) }
        return (ids, command.result(of: await confirmation.outcomesInAnyCase()[0]))
    }

    // MARK: The connection

    private func connection() async throws(RedisError) -> RedisConnection {
        if let leased {
            if await !leased.isClosed { return leased }
            await endLease()
        }
        let connection: RedisConnection
        do throws(RedisError) { connection = try await route.lease(on: eventLoop) } catch {
            throw error.about(command: XADD.name)
        }
        leased = connection
        if let refusal = await refusal(by: connection) {
            await endLease()
            throw refusal
        }
        return connection
    }

    private func endLease() async {
        guard let connection = leased else { return }
        leased = nil
        await route.released(connection)
    }

    /// Why the server will never confirm anything; `nil` if it may. Asked before anything is added.
    ///
    /// A replica refuses the command, too, without an error code of its own. It refuses the messages with `READONLY`.
    private func refusal(by connection: RedisConnection) async -> RedisError? {
        let outcomes = await connection.enqueue(count: 1) { $0.write(command.probe.request) }.outcomesInAnyCase()
        guard case .failure(let error) = command.probe.result(of: outcomes[0]) else { return nil }
        if error.code == .permissionDenied { return error }
        guard error.serverCode == "ERR", command.request.requirement != nil else { return nil }
        let server = try? await connection.executeToTheEnd(INFO(section: "server")).get()
        let explained = command.request.explain(error, on: server)
        return explained.code == .unsupportedByServer ? explained : nil
    }
}
