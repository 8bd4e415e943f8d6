import RedisStreamsTesting

@testable import RedisStreams

extension ManualClock {
    /// Moves the time forward, step by step, until `operation` has ended.
    func advance<Value: Sendable>(
        by step: Duration,
        until operation: @escaping @Sendable () async -> Value
    ) async -> Value {
        let journal = Journal<Value>()
        let task = Task { journal.record(await operation()) }
        await withTaskCancellationHandler {
            while journal.all.isEmpty {
                await advance(by: step)
                await Task.yield()
            }
        } onCancel: {
            task.cancel()
        }
        await task.value
        return journal.all[0]
    }

    /// Runs everything that is due now.
    func settle() async { await advance(by: .zero) }
}

extension RedisClient.Configuration {
    /// A configuration for tests that move the time and should not reach a deadline.
    static var patient: Self {
        var configuration = Self()
        configuration.connection.connectTimeout = .seconds(86_400)
        configuration.connection.commandTimeout = .seconds(86_400)
        configuration.acquireTimeout = .seconds(86_400)
        return configuration
    }
}
