import Logging
import RedisStreams
import ServiceLifecycle
import Testing

extension IntegrationTests {
    /// Shutdowns without a server, and consumers whose user lacks a right.
    @Suite struct Limits {
        enum Fault: String, Sendable, CaseIterable { case paused, killed }

        @Test("a server that is gone does not delay a shutdown", arguments: TestServer.all, Fault.allCases)
        func shutdown(binary: ServerBinary, fault: Fault) async throws {
            try await TestServer.withOwn(binary) { server in
                try await server.withClient { redis in
                    let stream = StreamKey("stream")
                    try await GroupConsumers.add(1...1, to: stream, redis)
                    let unsettled = Recorder<StreamID>()
                    let begun = Recorder<StreamID>()
                    var configuration = GroupConsumer.Configuration()
                    configuration.shutdownDeadline = .seconds(1)
                    configuration.onEvent = { event in
                        if case .unsettled(let ids) = event { for id in ids { unsettled.add(id) } }
                    }
                    let consumer = GroupConsumer(redis, stream: stream, group: "g", configuration: configuration)
                    let service = consumer.service(concurrency: 2) { message in
                        begun.add(message.id)
                        // The handler returns when the server is gone.
                        try await gracefulShutdown()
                    }
                    let group = ServiceGroup(services: [service], logger: Logger(label: "test"))
                    let running = Task { try await group.run() }
                    try await eventually("it is being handled") { begun.count == 1 }
                    if fault == .paused { server.pause() } else { try await server.kill() }
                    let start = ContinuousClock.now
                    await group.triggerGracefulShutdown()
                    try await running.value
                    let time = ContinuousClock.now - start
                    #expect(time < .seconds(3))
                    #expect(unsettled.all == begun.all)
                    if fault == .paused { server.resume() }
                }
            }
        }

        /// The rights that a consumer with dead letters needs; see `Documentation/Rights.md`.
        private static let rights: [FieldValue] = [
            "-@all", "+xreadgroup", "+xack", "+xautoclaim", "+xclaim", "+xpending", "+xgroup", "+xinfo", "+eval",
            "+evalsha", "+ping", "+xadd", "+type", "+client",
        ]

        /// Runs a consumer for a user with these rights, except one. Returns the error, the commands that the consumer
        /// reports as missing, and the number of handled messages.
        private static func outcome(
            _ binary: ServerBinary,
            without right: FieldValue?
        ) async throws -> (error: RedisError?, missing: [String], handled: Int) {
            try await TestServer.shared(binary).withClient { admin in
                let name = "user-\(UInt64.random(in: 0...UInt64.max))"
                let rule: [FieldValue] = ["ACL", "SETUSER", .text(name), "reset", "on", ">secret", "~*"]
                _ = try await admin.execute(RawCommand(rule + rights + (right.map { [$0] } ?? [])))
                let server = try await TestServer.shared(binary)
                let result = try await server.withClient {
                    $0.connection.username = name
                    $0.connection.password = Password("secret")
                } _: { redis in
                    let stream = StreamKey.unique()
                    try await GroupConsumers.add(1...1, to: stream, redis)
                    let (handled, missing) = (Recorder<Int>(), Recorder<String>())
                    var configuration = GroupConsumer.Configuration()
                    configuration.onEvent = { event in
                        if case .rightsMissing(let commands) = event { for name in commands { missing.add(name) } }
                    }
                    configuration.deadLetter = DeadLetter(StreamKey("\(stream):dead"))
                    let consumer = GroupConsumer(redis, stream: stream, group: "g", configuration: configuration)
                    let running = Task { () -> RedisError? in
                        do {
                            try await consumer.run { handled.add($0.number) }
                            return nil
                        } catch {
                            return error as? RedisError
                        }
                    }
                    let ended = Recorder<Bool>()
                    Task {
                        _ = await running.value
                        ended.add(true)
                    }
                    try await eventually("it is handled, or refused") { handled.count > 0 || ended.count > 0 }
                    running.cancel()
                    return (error: await running.value, missing: missing.all, handled: handled.count)
                }
                _ = try await admin.send("ACL", "DELUSER", .text(name))
                return result
            }
        }

        @Test("these rights suffice", arguments: TestServer.all)
        func rights(binary: ServerBinary) async throws {
            let outcome = try await Self.outcome(binary, without: nil)
            #expect(outcome.error == nil && outcome.missing.isEmpty && outcome.handled == 1)
        }

        @Test(
            "a missing right that a guarantee depends on is an error at the start",
            arguments: TestServer.all,
            ["xclaim", "xpending", "type", "eval", "evalsha"]
        )
        func needed(binary: ServerBinary, command: String) async throws {
            let outcome = try await Self.outcome(binary, without: .text("-\(command)"))
            #expect(outcome.error?.code == .permissionDenied)
            #expect(outcome.error?.message.lowercased().contains(command) == true)
            #expect(outcome.handled == 0)
        }

        @Test("a missing right that only helps is reported", arguments: TestServer.all)
        func reported(binary: ServerBinary) async throws {
            let outcome = try await Self.outcome(binary, without: "-xinfo")
            #expect(outcome.error == nil && outcome.handled == 1)
            #expect(outcome.missing == ["XINFO GROUPS", "XINFO STREAM", "XINFO CONSUMERS"])
        }
    }
}
