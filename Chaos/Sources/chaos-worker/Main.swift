import ChaosWork
import Foundation
import RedisStreams

/// A consumer in a process of its own, which `chaos` kills, stops and continues: `chaos-worker ORDER`.
@main
enum Main {
    static func main() async {
        do {
            guard CommandLine.arguments.count == 2 else { throw Failure("usage: chaos-worker ORDER") }
            try await work(WorkOrder(json: CommandLine.arguments[1]))
        } catch {
            FileHandle.standardError.write(Data("chaos-worker: \(error)\n".utf8))
            exit(1)
        }
    }

    private static func work(_ order: WorkOrder) async throws {
        let log = try EffectLog(path: order.effects)
        try await withRedisClient(order.url) { redis in
            let consumer = GroupConsumer(
                redis,
                stream: StreamKey(order.stream),
                group: order.group,
                consumer: order.name,
                configuration: configuration(order)
            )
            try await consumer.run(concurrency: order.concurrency) { message, context in
                guard let number = message["n"].flatMap({ Int($0) }) else { throw Failure("A message has no number.") }
                if order.output != nil { log.note(.begun, number) }
                if order.handlingMicroseconds > 0 {
                    try await Task.sleep(for: .microseconds(order.handlingMicroseconds))
                }
                if let output = order.output { try await add(["n": .integer(number)], to: StreamKey(output), context) }
                log.note(.done, number)
            }

            @Sendable func add(_ fields: NewFields, to stream: StreamKey, _ context: HandlerContext) async throws {
                if order.isUnfenced { return _ = try await redis.xadd(stream, fields) }
                try context.emit(fields, to: stream)
            }
        }
    }

    private static func configuration(_ order: WorkOrder) -> GroupConsumer.Configuration {
        var configuration = GroupConsumer.Configuration()
        configuration.batchSize = order.batchSize
        configuration.prefetch = order.prefetch
        configuration.claimIdleTime = order.leaseMilliseconds.map { .milliseconds($0) }
        // What is measured is the lease, and not how seldom one looks.
        configuration.claimInterval = .milliseconds(150)
        configuration.block = .seconds(1)
        return configuration
    }
}
