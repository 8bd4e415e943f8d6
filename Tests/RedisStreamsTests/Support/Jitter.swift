import Logging

@testable import RedisStreams
@testable import RedisStreamsTesting

extension InMemoryRedis {
    /// A client of this server that draws the same number, from 0 to 1, wherever times are spread.
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
