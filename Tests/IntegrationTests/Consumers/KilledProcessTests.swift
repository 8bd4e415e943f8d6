import Foundation
import RedisStreams
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

extension IntegrationTests {
    /// Consumers whose process is killed.
    @Suite struct KilledProcesses {
        private static let claimTime = Duration.seconds(1)

        /// The program of `Tests/ConsumerProcess`, which is built beside the tests.
        private static func program() throws -> String {
            let folders = CommandLine.arguments.filter { $0.contains(".xctest") }.flatMap { argument in
                let parts = argument.split(separator: "/", omittingEmptySubsequences: false)
                return parts.indices.reversed().map { parts[..<$0].joined(separator: "/") }
            }
            let program = folders.map { "\($0)/consumer-process" }
                .first { FileManager.default.isExecutableFile(atPath: $0) }
            return try #require(program, "consumer-process is not beside the tests: \(CommandLine.arguments)")
        }

        /// Starts a consumer in its own process.
        private static func start(_ name: String, on server: TestServer, _ stream: StreamKey) throws -> ChildProcess {
            try ChildProcess(
                [
                    program(), "unix://\(server.socketPath)", stream.rawValue, "g", name,
                    "\(Self.claimTime.components.seconds * 1000)",
                ],
                log: "\(server.folder)/\(name).log"
            )
        }

        @Test("a process that is killed ten times under load loses nothing", arguments: TestServer.all)
        func underLoad(binary: ServerBinary) async throws {
            try await TestServer.withOwn(binary) { server in
                try await server.withClient(.unix) { redis in
                    let stream = StreamKey("stream")
                    let producer = Producer(redis: redis, stream: stream)
                    let producing = Task { await producer.run() }
                    // Five processes have the same name, so that a restarted one recovers its own pending messages.
                    for number in 0..<10 {
                        let name = number < 5 ? "same" : "other-\(number)"
                        let before = try await Self.begun(by: name, of: stream, redis)
                        let child = try Self.start(name, on: server, stream)
                        let goal = before + Int.random(in: 1...200)
                        try await eventually("\(name) handles messages") {
                            try await Self.begun(by: name, of: stream, redis) >= goal
                        }
                        try await child.terminate()
                    }
                    let left = try await GroupConsumers.pending(redis, stream)
                    #expect(left > 0)
                    producing.cancel()
                    await producing.value

                    let survivor = try Self.start("survivor", on: server, stream)
                    try await eventually("all are handled and acknowledged") {
                        let group = try await redis.xinfoGroups(stream).first
                        let last = try await redis.xinfoStream(stream).lastGeneratedID
                        return group?.pendingCount == 0 && group?.lastDeliveredID == last
                    }
                    let handled = try await redis.send("SMEMBERS", .text("\(stream):handled")).texts.compactMap {
                        Int($0)
                    }
                    let lost = Set(producer.confirmed.all).subtracting(handled)
                    #expect(lost.isEmpty)
                    try await survivor.terminate()
                }
            }
        }

        @Test("messages of a killed process are claimed in time, on an idle stream", arguments: TestServer.all)
        func idleStream(binary: ServerBinary) async throws {
            try await TestServer.withOwn(binary) { server in
                try await server.withClient(.unix) { redis in
                    let stream = StreamKey("stream")
                    let survivor = try Self.start("survivor", on: server, stream)
                    try await eventually("the survivor waits") {
                        try await redis.info("clients")["blocked_clients"] == "1"
                    }
                    // The victim is stopped while it holds messages, and then killed.
                    let victim = try Self.start("victim", on: server, stream)
                    try await eventually("the victim waits") {
                        try await redis.info("clients")["blocked_clients"] == "2"
                    }
                    var number = 0
                    let held = {
                        try await redis.xpending(stream, group: "g", count: 1000, consumer: "victim").count
                    }
                    try await eventually("the victim holds messages") {
                        let numbers = (number + 1)...(number + 100)
                        number += 100
                        victim.send(SIGCONT)
                        try await GroupConsumers.add(numbers, to: stream, redis)
                        victim.send(SIGSTOP)
                        return try await held() > 0
                    }
                    try await victim.terminate()
                    let start = ContinuousClock.now
                    try await eventually("nothing is pending", within: .seconds(3)) {
                        try await GroupConsumers.pending(redis, stream) == 0
                    }
                    #expect(ContinuousClock.now - start < Self.claimTime + .seconds(2))
                    let handled = try await redis.send("SCARD", .text("\(stream):handled")).integer
                    #expect(handled == number)
                    try await survivor.terminate()
                }
            }
        }

        private static func begun(by name: String, of stream: StreamKey, _ redis: RedisClient) async throws -> Int {
            try await Int(redis.send("GET", .text("\(stream):begun:\(name)")).string ?? "0") ?? 0
        }
    }
}
