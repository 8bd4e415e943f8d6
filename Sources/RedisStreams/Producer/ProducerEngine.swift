internal import NIOCore

/// Sends the messages in a producer's buffer, batch after batch in order. It does not wait for the replies to a batch
/// before it sends the next one.
actor ProducerEngine {
    nonisolated let eventLoop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe eventLoop.executor.asUnownedSerialExecutor() }

    private let client: RedisClient
    private let configuration: StreamProducer.Configuration
    private let buffer: ProducerBuffer
    /// The connection of the last batch. The next one prefers it, so that messages are added in order.
    private var connection: RedisConnection?

    init(client: RedisClient, configuration: StreamProducer.Configuration, buffer: ProducerBuffer) {
        self.client = client
        self.configuration = configuration
        self.buffer = buffer
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
                group.addTask { await self.settle(items, sent, batch: number, bytes) }
            }
        }
        buffer.fail(PoolStateMachine<RedisConnection>.shutDown)
    }

    private func send(_ items: [ProducerBuffer.Item]) async -> PendingReplies? {
        do throws(RedisError) {
            // All items go to the producer's one stream.
            let node = client.router.node(for: items.prefix(1).flatMap(\.command.keys))
            let connection = try await node.pool.shared(preferring: connection)
            self.connection = connection
            return connection.enqueue(count: items.count) { writer in
                for item in items { writer.write(item.command) }
            }
        } catch {
            for item in items { buffer.fulfill(item, .failure(error.about(command: XADD.name))) }
            return nil
        }
    }

    private func settle(
        _ items: [ProducerBuffer.Item],
        _ sent: PendingReplies,
        batch number: Int,
        _ bytes: Int
    ) async {
        let outcomes = await sent.outcomesInAnyCase()
        for (item, outcome) in zip(items, outcomes) {
            buffer.fulfill(item, item.command.result(of: outcome).flatMap(Self.id))
        }
        buffer.settled(batch: number, count: items.count, bytes: bytes)
    }

    private static func id(_ id: StreamID?) -> Result<StreamID, RedisError> {
        if let id { return .success(id) }
        return .failure(
            RedisError(.unexpectedReply, "The server replied without the id of the message.", command: XADD.name)
        )
    }
}
