import RedisStreams

extension Worker {
    /// 256 tasks, of which each awaits one `xadd` after another.
    @concurrent
    func add(_ redis: RedisClient) async throws -> Tally {
        let tasks = 256
        let (stream, messages) = (stream, order.messages)
        let entry = Entry(payload: order.payload)
        let added = try await withThrowingTaskGroup(of: Int.self) { group in
            for first in 1...tasks {
                group.addTask {
                    var added = 0
                    for number in stride(from: first, through: messages, by: tasks) {
                        try await redis.xadd(stream, entry.fields(number))
                        added += 1
                    }
                    return added
                }
            }
            return try await group.reduce(0, +)
        }
        var tally = Tally()
        tally.messages = added
        return tally
    }

    /// One task submits to a producer with the default configuration.
    @concurrent
    func submit(_ redis: RedisClient) async throws -> Tally {
        let entry = Entry(payload: order.payload)
        try await redis.withProducer(of: stream) { producer in
            for number in 1...order.messages { try await producer.submit(entry.fields(number)) }
        }
        var tally = Tally()
        tally.messages = order.messages
        return tally
    }
}
