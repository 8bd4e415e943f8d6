import RedisStreams

/// A consumer in a process of its own, for tests that kill it: `consumer-process URL STREAM GROUP NAME
/// CLAIM-MILLISECONDS`.
///
/// Its handler counts the messages that it has begun in `STREAM:begun:NAME`, and adds each to the set `STREAM:handled`.
/// The consumer acknowledges a message after that.
@main
struct ConsumerProcess {
    static func main() async throws {
        let arguments = CommandLine.arguments.dropFirst()
        guard arguments.count == 5, let claimTime = Int(arguments[5]) else {
            throw Usage()
        }
        var configuration = GroupConsumer.Configuration()
        configuration.claimIdleTime = .milliseconds(claimTime)
        configuration.batchSize = 50
        let stream = StreamKey(arguments[2])
        try await withRedisClient(arguments[1]) { redis in
            let consumer = GroupConsumer(
                redis,
                stream: stream,
                group: arguments[3],
                consumer: arguments[4],
                configuration: configuration
            )
            try await consumer.run(concurrency: 4) { message in
                _ = try await redis.send("INCR", .text("\(stream):begun:\(arguments[4])"))
                _ = try await redis.send("SADD", .text("\(stream):handled"), .text(message["n"] ?? ""))
            }
        }
    }

    struct Usage: Error {}
}
