import ChaosWork
import RedisStreams
import Synchronization

/// Consumers in this process.
struct Consumers: Sendable {
    static let group = "g"

    let redis: RedisClient
    let stream: StreamKey
    let count: Int
    let concurrency: Int
    let configuration: GroupConsumer.Configuration
    /// What their names begin with.
    private let prefix: String
    private let failures = Failures()

    init(
        _ redis: RedisClient,
        _ stream: StreamKey,
        count: Int = 4,
        concurrency: Int = 8,
        prefix: String = "c",
        _ configuration: GroupConsumer.Configuration = .chaotic
    ) {
        self.prefix = prefix
        self.redis = redis
        self.stream = stream
        self.count = count
        self.concurrency = concurrency
        self.configuration = configuration
    }

    /// The most messages that all of them hold at a time.
    var window: Int { count * (configuration.prefetch + configuration.batchSize + concurrency) }

    /// Why consumers have ended before they were cancelled.
    var problems: [String] { failures.all }

    /// Runs the consumers while `body` runs.
    func running<Result: Sendable>(
        _ handler: @escaping @Sendable (_ number: Int, _ consumer: Int) async throws -> Void,
        _ body: () async throws -> Result
    ) async throws -> Result {
        let tasks = (0..<count).map { number in Task { await run(number, handler) } }
        defer { for task in tasks { task.cancel() } }
        let result = try await body()
        for task in tasks { task.cancel() }
        try await bounded("consumers end when they are cancelled", within: .seconds(10)) {
            for task in tasks { await task.value }
        }
        return result
    }

    private func run(_ consumer: Int, _ handler: @escaping @Sendable (Int, Int) async throws -> Void) async {
        do {
            let name = "\(prefix)\(consumer)"
            try await GroupConsumer(
                redis,
                stream: stream,
                group: Self.group,
                consumer: name,
                configuration: configuration
            ).run(concurrency: concurrency) { message in
                guard let number = message["n"].flatMap({ Int($0) }) else { throw Failure("A message has no number.") }
                try await handler(number, consumer)
            }
        } catch {
            failures.add("consumer \(consumer) ended: \(error)")
        }
    }

    /// Waits until the group has read the whole stream, and nothing is pending.
    static func drained(
        _ redis: RedisClient,
        _ stream: StreamKey,
        within limit: Duration = .seconds(60)
    ) async throws {
        var state = "the state of the group is unknown"
        do {
            try await eventually("everything is read and acknowledged", within: limit, every: .milliseconds(20)) {
                guard let group = try? await redis.xinfoGroups(stream).first,
                    let last = try? await redis.xinfoStream(stream).lastGeneratedID
                else { return false }
                state = "\(group.pendingCount) are pending, read to \(group.lastDeliveredID) of \(last)"
                return group.pendingCount == 0 && group.lastDeliveredID == last
            }
        } catch {
            throw Failure("\(error) \(state).")
        }
    }
}

/// The failures of tasks.
final class Failures: Sendable {
    private let list = Mutex<[String]>([])

    var all: [String] { list.withLock { $0 } }

    func add(_ failure: String) { list.withLock { $0.append(failure) } }
}

extension GroupConsumer.Configuration {
    /// The defaults, with shorter delays for runs of a minute.
    static var chaotic: Self {
        var configuration = Self()
        configuration.block = .seconds(1)
        configuration.claimIdleTime = .seconds(5)
        configuration.backoff.limit = .milliseconds(200)
        return configuration
    }
}
