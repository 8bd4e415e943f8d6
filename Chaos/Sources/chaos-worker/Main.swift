import ChaosWork
import Foundation
import Logging
import RedisStreams
import ServiceLifecycle
import UnixSignals

/// A consumer in its own process, which `chaos` kills, stops, continues and shuts down: `chaos-worker ORDER`.
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
                consumer: order.hasGeneratedName ? nil : order.name,
                configuration: configuration(order)
            )
            if order.hasGeneratedName { try Data(consumer.name.utf8).write(to: URL(fileURLWithPath: order.nameFile)) }
            let service = consumer.service(concurrency: order.concurrency) { message, context in
                guard let number = message["n"].flatMap({ Int($0) }) else { throw Failure("A message has no number.") }
                if let pause = order.asksAfterMilliseconds, !message.isRedelivered {
                    log.append(.begun, number)
                    if let effect = ask(message, context, after: pause) { return log.append(effect, number) }
                }
                if order.output != nil { log.append(.begun, number) }
                if order.handlingMicroseconds > 0 {
                    try await Task.sleep(for: .microseconds(order.handlingMicroseconds))
                }
                if let output = order.output { try await add(["n": .integer(number)], to: StreamKey(output), context) }
                log.append(.done, number)
            }
            let logger = Logger(label: "chaos-worker", factory: { _ in SwiftLogNoOpLogHandler() })
            try await ServiceGroup(services: [service], gracefulShutdownSignals: [.sigterm], logger: logger).run()

            @Sendable func add(
                _ fields: StreamFieldsToAdd,
                to stream: StreamKey,
                _ context: HandlerContext
            ) async throws {
                if order.isUnfenced { return _ = try await redis.xadd(stream, fields) }
                try context.emit(fields, to: stream)
            }
        }
    }

    /// Waits until the process was stopped for so many milliseconds, and asks at once whether the message is held.
    /// Returns `nil` if the process is not stopped.
    ///
    /// It blocks the thread, so that nothing else runs between the end of the pause and the question.
    private static func ask(_ message: GroupMessage, _ context: HandlerContext, after pause: Int) -> Effect.Kind? {
        var last = Effect.now
        for _ in 0..<2000 {
            Thread.sleep(forTimeInterval: 0.001)
            if Effect.now - last >= UInt64(pause) * 1_000_000 {
                return context.leaseLost && !message.isHeld ? .lost : .kept
            }
            last = Effect.now
        }
        return nil
    }

    private static func configuration(_ order: WorkOrder) -> GroupConsumer.Configuration {
        var configuration = GroupConsumer.Configuration()
        configuration.batchSize = order.batchSize
        configuration.prefetch = order.prefetch
        configuration.claimIdleTime = order.leaseMilliseconds.map { .milliseconds($0) }
        // The cases measure the lease, so the wait for the next claim scan must be short.
        configuration.claimInterval = .milliseconds(150)
        configuration.block = .seconds(1)
        return configuration
    }
}
