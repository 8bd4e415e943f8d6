import Logging

@testable import RedisStreams
@testable import RedisStreamsTesting

extension InMemoryRedis {
    /// A client of this server whose random numbers for jitter are always `jitter`, from 0 to 1.
    func makeClient(jitter: Double) throws -> RedisClient {
        try RedisClient(
            .init(),
            transport: self,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            eventLoopGroup: clock.eventLoop,
            randomness: { jitter }
        )
    }
}
