import Foundation
import RedisStreams
import Testing

extension IntegrationTests {
    /// An address that leads to another server after a failover, as names and virtual addresses do.
    @Suite struct MovedAddress {
        @Test("a client leaves a demoted master for the new one", arguments: TestServer.all)
        func failover(binary: ServerBinary) async throws {
            try await TestServer.withOwn(binary) { old in
                try await TestServer.withOwn(binary) { new in
                    let address = "\(old.folder)/address"
                    try Self.lead(address, to: old)
                    try await withRedisClient(.init(address: .unixSocket(path: address))) { redis in
                        let seen = Recorder<String>()
                        let consumer = GroupConsumer(redis, stream: "s", group: "g")
                        let running = Task { try await consumer.run { message in seen.add(message["n"] ?? "") } }
                        try await redis.xadd("s", ["n": "before"])
                        try await eventually("it is handled") { seen.count == 1 }
                        try await Self.failOver(from: old, to: new)
                        try Self.lead(address, to: new)
                        try await old.withClient { _ = try await $0.send("REPLICAOF", "127.0.0.1", .integer(new.port)) }
                        let refusal = await expectError(.readOnly, within: .seconds(2)) {
                            try await redis.xadd("s", ["n": "lost"])
                        }
                        #expect(refusal?.mayHaveExecuted == false)
                        try await redis.xadd("s", ["n": "after"])
                        try await eventually("it is handled too") { seen.all.contains("after") }
                        running.cancel()
                        try await running.value
                    }
                }
            }
        }

        private static func lead(_ address: String, to server: TestServer) throws {
            try? FileManager.default.removeItem(atPath: address)
            try FileManager.default.createSymbolicLink(atPath: address, withDestinationPath: server.socketPath)
        }

        private static func failOver(from old: TestServer, to new: TestServer) async throws {
            try await new.withClient { redis in
                _ = try await redis.send("REPLICAOF", "127.0.0.1", .integer(old.port))
                try await eventually("it replicates") {
                    let length = try await redis.xlen("s")
                    return length == 1
                }
                _ = try await redis.send("REPLICAOF", "NO", "ONE")
            }
        }
    }
}
