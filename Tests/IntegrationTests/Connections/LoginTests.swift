import Foundation
import RedisStreams
import Testing

extension IntegrationTests {
    /// Users, passwords, rights, databases and names.
    @Suite struct Logins {
        /// A user of the shared server with a password and these rights.
        private static func makeUser(_ redis: RedisClient, _ rights: String...) async throws -> String {
            let name = "user-\(UInt32.random(in: 0...UInt32.max))"
            let rule: [FieldValue] = ["ACL", "SETUSER", .text(name), "reset", "on", .text(">\(secret)")]
            _ = try await redis.execute(RawCommand(rule + rights.map { .text($0) }))
            return name
        }

        @Test("a user logs in with name and password", arguments: TestServer.all, Route.allCases)
        func user(binary: ServerBinary, route: Route) async throws {
            let server = try await TestServer.shared(binary)
            let name = try await server.withClient { try await Self.makeUser($0, "allkeys", "+@all") }
            try await server.withClient(route) {
                $0.connection.username = name
                $0.connection.password = Password(secret)
            } _: { redis in
                #expect(try await redis.send("ACL", "WHOAMI").string == name)
                try await redis.withConnection { connection in
                    let blocked = try await connection.execute(RawCommand("ACL", "WHOAMI"))
                    #expect(blocked.string == name)
                }
            }
        }

        @Test("a wrong password and an unknown user fail at once", arguments: TestServer.all, Route.allCases)
        func wrongPassword(binary: ServerBinary, route: Route) async throws {
            let server = try await TestServer.shared(binary)
            let name = try await server.withClient { try await Self.makeUser($0, "allkeys", "+@all") }
            for (user, password) in [(name, "\(secret)-wrong"), ("nobody", secret), (name, "")] {
                try await server.withClient(route) {
                    $0.connection.username = user
                    $0.connection.password = Password(password)
                } _: { redis in
                    for _ in 1...2 {
                        let error = await expectError(.authenticationFailed, within: .seconds(2)) {
                            try await redis.ping()
                        }
                        #expect(error?.command == "PING")
                    }
                    await expectError(.authenticationFailed, within: .seconds(2)) {
                        try await redis.xread([StreamOffset("s")], block: .seconds(1))
                    }
                    await expectError(.authenticationFailed, within: .seconds(2)) {
                        for try await _ in StreamConsumer(redis, stream: "s") {}
                    }
                    await expectError(.authenticationFailed, within: .seconds(2)) {
                        try await GroupConsumer(redis, stream: "s", group: "g").run { _ in }
                    }
                }
            }
        }

        @Test("a server with a password requires it", arguments: TestServer.all)
        func requiredPassword(binary: ServerBinary) async throws {
            try await TestServer.withOwn(binary, .init(settings: [["requirepass", secret]])) { server in
                try await server.withClient { redis in
                    await expectError(.authenticationFailed, within: .seconds(2)) { try await redis.ping() }
                }
                try await server.withClient {
                    $0.connection.password = Password(secret)
                } _: { redis in
                    try await redis.ping()
                }
                let url = "redis://:\(secret)@127.0.0.1:\(server.port)/2"
                try await withRedisClient(url) { redis in
                    try await redis.ping()
                    #expect(try await redis.connections().contains { $0["db"] == "2" })
                }
            }
        }

        @Test("a password for a server without one is an error", arguments: TestServer.all)
        func needlessPassword(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient {
                $0.connection.password = Password(secret)
            } _: { redis in
                await expectError(.authenticationFailed, within: .seconds(2)) { try await redis.ping() }
            }
        }

        @Test("a missing right fails at once, and other commands still work", arguments: TestServer.all)
        func missingRights(binary: ServerBinary) async throws {
            let server = try await TestServer.shared(binary)
            let allowed = StreamKey.unique("allowed")
            let name = try await server.withClient { redis in
                try await Self.makeUser(redis, "~allowed*", "+xadd", "+xlen", "+xreadgroup")
            }
            try await server.withClient {
                $0.connection.username = name
                $0.connection.password = Password(secret)
                $0.connection.clientName = "may-not-say"
            } _: { redis in
                try await redis.xadd(allowed, ["n": 1])
                let key = await expectError(.permissionDenied) { try await redis.xadd("forbidden", ["n": 1]) }
                #expect(key?.serverCode == "NOPERM")
                await expectError(.permissionDenied) { try await redis.xrange(allowed) }
                await expectError(.permissionDenied, within: .seconds(2)) {
                    for try await _ in GroupConsumer(redis, stream: allowed, group: "g") {}
                }
                await expectError(.permissionDenied, within: .seconds(2)) {
                    for try await _ in StreamConsumer(redis, stream: allowed, from: .beginning) {}
                }
                #expect(try await redis.xlen(allowed) == 1)
            }
        }

        @Test("a consumer works with the rights that it needs", arguments: TestServer.all)
        func leastRights(binary: ServerBinary) async throws {
            let server = try await TestServer.shared(binary)
            let stream = StreamKey.unique("orders")
            let name = try await server.withClient { redis in
                try await redis.xadd(stream, ["n": 1])
                return try await Self.makeUser(
                    redis,
                    "~orders*",
                    "+xreadgroup",
                    "+xack",
                    "+xautoclaim",
                    "+xclaim",
                    "+xpending",
                    "+xgroup|create",
                    "+xgroup|delconsumer",
                    "+xinfo",
                    "+eval",
                    "+evalsha",
                    "+ping"
                )
            }
            try await server.withClient {
                $0.connection.username = name
                $0.connection.password = Password(secret)
            } _: { redis in
                var iterator = GroupConsumer(redis, stream: stream, group: "g").makeAsyncIterator()
                let message = try await iterator.next()
                #expect(message?["n"] == "1")
            }
        }

        @Test("databases are kept apart", arguments: TestServer.all, Route.allCases)
        func databases(binary: ServerBinary, route: Route) async throws {
            let server = try await TestServer.shared(binary)
            let stream = StreamKey.unique()
            try await server.withClient(route) {
                $0.connection.database = 3
            } _: { redis in
                try await redis.xadd(stream, ["n": 1])
                try await redis.withConnection { connection in
                    let length = try await connection.xlen(stream)
                    #expect(length == 1)
                }
            }
            try await server.withClient(route) { redis in
                let count = try await redis.exists(stream)
                #expect(count == 0)
            }
            try await server.withClient(route) {
                $0.connection.database = 99
            } _: { redis in
                let error = await expectError(.invalidConfiguration, within: .seconds(2)) { try await redis.ping() }
                #expect(error?.command == "PING")
            }
        }

        @Test("all connections bear the name of the client", arguments: TestServer.all)
        func clientName(binary: ServerBinary) async throws {
            let name = "name-\(UInt32.random(in: 0...UInt32.max))"
            try await TestServer.shared(binary).withClient {
                $0.connection.clientName = name
                $0.sharedConnections = 2
            } _: { redis in
                try await redis.ping()
                try await redis.withConnection { connection in
                    try await connection.ping()
                    try await eventually("three connections") { try await redis.connections(named: name).count == 3 }
                }
            }
        }

        @Test("a URL connects to the server", arguments: TestServer.all)
        func urls(binary: ServerBinary) async throws {
            let server = try await TestServer.shared(binary)
            let stream = StreamKey.unique()
            for url in [
                "redis://localhost:\(server.port)/5", "redis://127.0.0.1:\(server.port)/5",
                "unix://\(server.socketPath)?db=5",
            ] {
                try await withRedisClient(url) { redis in
                    _ = try await redis.xadd(stream, ["n": 1])
                }
            }
            try await server.withClient {
                $0.connection.database = 5
            } _: { redis in
                let length = try await redis.xlen(stream)
                #expect(length == 3)
            }
        }
    }
}
