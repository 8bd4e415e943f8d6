import RedisStreams

extension Worker {
    /// Reads until all messages have come, on no actor.
    @concurrent
    func readAll<Messages: AsyncSequence & Sendable>(
        _ sequence: Messages,
        _ fields: @Sendable (Messages.Element) -> StreamFields
    ) async throws -> Tally {
        var tally = Tally()
        for try await message in sequence {
            tally += Tally(fields(message))
            if tally.messages == order.messages { break }
        }
        return tally
    }

    /// Reads until all messages have come, and waits until all are acknowledged.
    @concurrent
    func readGroup(_ redis: RedisClient) async throws -> Tally {
        var tally = Tally()
        for try await message in groupConsumer(redis) {
            tally += Tally(message.fields)
            if tally.messages == order.messages {
                // The loop would acknowledge it when it asks for the next message, which never comes.
                message.acknowledge()
                break
            }
        }
        try await acknowledged(redis)
        return tally
    }

    /// Handles up to 16 messages at a time, and stops when all have come. The stop acknowledges the rest.
    @concurrent
    func runGroup(_ redis: RedisClient) async throws -> Tally {
        let tally = SharedTally()
        let consumer = groupConsumer(redis)
        let total = order.messages
        let (done, signal) = AsyncStream.makeStream(of: Void.self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await consumer.run(concurrency: 16) { message in
                    if tally.add(Tally(message.fields)) == total { signal.finish() }
                }
            }
            for await _ in done {}
            group.cancelAll()
            try await group.waitForAll()
        }
        return tally.total
    }

    /// Several consumers of one group, a task each, share the messages.
    @concurrent
    func shareGroup(_ redis: RedisClient) async throws -> Tally {
        let seen = SharedCount()
        let total = order.messages
        let (done, signal) = AsyncStream.makeStream(of: Void.self)
        return try await withThrowingTaskGroup(of: Tally.self) { group in
            for number in 1...order.consumers {
                let consumer = groupConsumer(redis, name: "swift-\(number)")
                group.addTask {
                    var tally = Tally()
                    for try await message in consumer {
                        tally += Tally(message.fields)
                        guard seen.increase() == total else { continue }
                        message.acknowledge()
                        signal.finish()
                    }
                    return tally
                }
            }
            for await _ in done {}
            try await acknowledged(redis)
            group.cancelAll()
            return try await group.reduce(into: Tally()) { $0 += $1 }
        }
    }

    /// Reads pieces of a long backlog, each with a new group, and counts only the time from the first message to the
    /// acknowledgement of the last. The messages that the consumer reads ahead and drops cost every pass the same,
    /// however long the backlog is.
    @concurrent
    func readPasses(_ redis: RedisClient) async throws -> RunReport {
        var tally = Tally()
        var (seconds, cpuSeconds) = (0.0, 0.0)
        for pass in 0..<order.messages / Order.passMessages {
            // Each pass has its own group, since the consumer of the last pass may not have ended yet.
            let group = "\(Order.group)-\(pass)"
            let start = pass * order.stride
            try await redis.xgroupCreate(stream, group: group, from: .id(Order.id(of: start)))
            var stopwatch: Stopwatch?
            var seen = Tally()
            for try await message in groupConsumer(redis, group: group) {
                if stopwatch == nil { stopwatch = Stopwatch() }
                seen += Tally(message.fields)
                if seen.messages == Order.passMessages {
                    message.acknowledge()
                    break
                }
            }
            try await acknowledged(redis, group: group, upTo: Order.id(of: start + Order.passMessages))
            seconds += stopwatch?.seconds ?? 0
            cpuSeconds += stopwatch?.cpuSeconds ?? 0
            tally += seen
        }
        return RunReport(seconds: seconds, cpuSeconds: cpuSeconds, tally: tally)
    }
}
