internal import NIOCore

/// Sends the messages in a producer's buffer, batch after batch in order. It does not wait for the replies to a batch
/// before it sends the next one.
///
/// While the stream moves to another node of a cluster, the old node refuses messages from one on. Then the engine *holds*:
/// it sends nothing more until the batches on their way have their replies, and sends the refused messages again, in
/// order, to the node that has the stream by then.
actor ProducerEngine {
    nonisolated let eventLoop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe eventLoop.executor.asUnownedSerialExecutor() }

    /// A batch that was sent.
    private struct Batch {
        let number: Int
        let items: [ProducerBuffer.Item]
        let bytes: Int
    }

    /// The messages of a batch that a node has refused since the stream has moved.
    private struct Refused {
        let batch: Batch
        let items: [ProducerBuffer.Item]
        let error: RedisError
    }

    private let configuration: StreamProducer.Configuration
    private let buffer: ProducerBuffer
    private let route: any Route
    /// The connection of the last batch. The next one prefers it, so that messages are added in order.
    private var connection: RedisConnection?
    private var batchesInFlight = 0
    private var refused: [Refused] = []
    /// The loop that sends, while it waits until nothing is on its way.
    private var idleWaiter: CheckedContinuation<Void, Never>?

    init(
        client: RedisClient,
        stream: StreamKey,
        configuration: StreamProducer.Configuration,
        buffer: ProducerBuffer
    ) {
        self.configuration = configuration
        self.buffer = buffer
        route = client.router.route(for: stream)
        eventLoop = client.nextEventLoop()
    }

    /// Sends until the buffer is finished and empty.
    func run() async {
        await withDiscardingTaskGroup { group in
            while await buffer.waitForWork() {
                await buffer.coalesce(for: configuration.delay, on: eventLoop)
                let (items, bytes, number) = buffer.takeBatch()
                // The child task only waits for the replies, so that batches are sent in order.
                let sent = items.isEmpty ? nil : await send(items)
                guard let sent else {
                    buffer.settled(batch: number, count: items.count, bytes: bytes)
                    continue
                }
                let batch = Batch(number: number, items: items, bytes: bytes)
                group.addTask { await self.settle(batch, sent) }
            }
        }
        buffer.fail(PoolStateMachine<RedisConnection>.shutDown)
    }

    private func send(_ items: [ProducerBuffer.Item]) async -> PendingReplies? {
        do throws(RedisError) {
            let connection = try await nextConnection()
            batchesInFlight += 1
            return items.enqueue(on: connection)
        } catch {
            for item in items { buffer.fulfill(item, .failure(error.about(command: XADD.name))) }
            return nil
        }
    }

    /// Waits for a connection, and while the engine holds. A batch goes to another connection than the one before only when
    /// nothing is on its way: the route may know of the new node before the replies of the old one have been handled.
    private func nextConnection() async throws(RedisError) -> RedisConnection {
        while true {
            let next = try await route.shared(preferring: connection)
            guard isHolding || (configuration.holds && batchesInFlight > 0 && next !== connection) else {
                connection = next
                return next
            }
            await withCheckedContinuation { idleWaiter = $0 }
        }
    }

    private func settle(_ batch: Batch, _ sent: PendingReplies) async {
        let outcomes = await sent.outcomesInAnyCase()
        let moving = fulfill(batch.items, outcomes)
        batchesInFlight -= 1
        if let moving {
            refused.append(Refused(batch: batch, items: moving.items, error: moving.error))
        } else {
            settled(batch)
        }
        if !refused.isEmpty, batchesInFlight == 0 || !configuration.holds { await endHold() }
        if batchesInFlight == 0 {
            idleWaiter?.resume()
            idleWaiter = nil
        }
    }

    private func settled(_ batch: Batch) {
        buffer.settled(batch: batch.number, count: batch.items.count, bytes: batch.bytes)
    }

    /// Sets the outcomes of messages. Returns those that were refused since the stream has moved.
    private func fulfill(
        _ items: [ProducerBuffer.Item],
        _ outcomes: [PendingReplies.Outcome]
    ) -> (items: [ProducerBuffer.Item], error: RedisError)? {
        var moving: (items: [ProducerBuffer.Item], error: RedisError)?
        for (item, outcome) in zip(items, outcomes) {
            if case .failure(let error) = outcome, error.code == .slotMoving {
                moving = ((moving?.items ?? []) + [item], error)
            } else {
                buffer.fulfill(item, item.id(from: outcome))
            }
        }
        return moving
    }

    // MARK: Holding

    private var isHolding: Bool { configuration.holds && !refused.isEmpty }

    /// Sends the refused messages again, until a node accepts them.
    private func endHold() async {
        let batches = refused.sorted { $0.batch.number < $1.batch.number }
        if !configuration.holds { refused = [] }
        var items = batches.flatMap(\.items)
        var error = batches.last?.error
        var redirections = 0
        while let reason = error, !items.isEmpty {
            redirections += 1
            guard redirections <= RedirectBudget.maxRedirections else {
                for item in items { buffer.fulfill(item, .failure(reason)) }
                break
            }
            route.follow(reason)
            do throws(RedisError) {
                let connection = try await route.shared(preferring: nil)
                self.connection = connection
                let moving = fulfill(items, await items.enqueue(on: connection).outcomesInAnyCase())
                items = moving?.items ?? []
                error = moving?.error
            } catch {
                for item in items { buffer.fulfill(item, .failure(error.about(command: XADD.name))) }
                break
            }
        }
        if configuration.holds { refused = [] }
        for batch in batches { settled(batch.batch) }
    }
}
