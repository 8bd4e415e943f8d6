import RedisStreams
import Synchronization
import Testing

extension IntegrationTests {
    /// Users and passwords that change while consumers and producers run.
    @Suite struct Credentials {
        /// Where the user and the password of today are kept.
        private final class Vault: Sendable {
            private let current: Mutex<(user: String, password: String)>
            let calls = Recorder<Void>()
            let validFor: Duration?

            init(_ user: String, _ password: String, validFor: Duration?) {
                current = Mutex((user, password))
                self.validFor = validFor
            }

            var provider: CredentialsProvider {
                CredentialsProvider { self.read() }
            }

            func keep(_ user: String, _ password: String) {
                current.withLock { $0 = (user, password) }
            }

            private func read() -> RedisCredentials {
                calls.add(())
                let (user, password) = current.withLock { $0 }
                return RedisCredentials(username: user, password: Password(password), validFor: validFor)
            }
        }

        private static func makeUser(_ name: String, _ password: String, _ admin: RedisClient) async throws {
            let rules = ["reset", "on", ">\(password)", "~*", "&*", "+@all"].map { FieldValue.text($0) }
            _ = try await admin.execute(RawCommand(["ACL", "SETUSER", .text(name)] + rules))
        }

        private static func group(_ redis: RedisClient, _ stream: StreamKey) -> GroupConsumer {
            let configuration = GroupConsumers.configuration {
                $0.block = .milliseconds(300)
                $0.backoff.limit = .milliseconds(200)
            }
            return GroupConsumer(redis, stream: stream, group: "g", configuration: configuration)
        }

        /// A producer and a consumer of a user whose password is replaced three times under load: the former one is removed,
        /// and all connections are closed. Returns why the consumer ended before everything was handled, if it did.
        private static func rotate(
            _ server: TestServer,
            _ admin: RedisClient,
            _ redis: RedisClient,
            keep: (String) -> Void
        ) async throws -> (any Error)? {
            let stream = StreamKey.unique()
            let handled = NumberSet()
            let end = Recorder<any Error>()
            let consumer = group(redis, stream)
            let consuming = Task {
                do { try await consumer.run(concurrency: 4) { handled.insert($0.number) } } catch { end.add(error) }
            }
            let producer = Producer(redis: redis, stream: stream)
            let producing = Task { await producer.run() }
            let isOver = { (count: Int) in handled.count >= count || end.count > 0 }
            for round in 1...3 {
                let count = handled.count
                try await eventually("messages are handled") { isOver(count + 50) }
                let former = "\(secret)-\(round - 1)"
                let next = "\(secret)-\(round)"
                _ = try await admin.send("ACL", "SETUSER", "app", .text(">\(next)"))
                keep(next)
                _ = try await admin.send("ACL", "SETUSER", "app", .text("<\(former)"))
                _ = try await admin.send("CLIENT", "KILL", "USER", "app")
            }
            let count = handled.count
            try await eventually("messages are handled") { isOver(count + 50) }
            producing.cancel()
            await producing.value
            let confirmed = producer.confirmed.all
            try await eventually("everything is handled") { handled.holdsAll(confirmed) || end.count > 0 }
            let error = end.all.first
            consuming.cancel()
            await consuming.value
            return error
        }

        @Test("a password that is rotated under load loses nothing and ends nobody", arguments: TestServer.all)
        func rotation(binary: ServerBinary) async throws {
            try await TestServer.withOwn(binary) { server in
                try await server.withClient { admin in
                    try await Self.makeUser("app", "\(secret)-0", admin)
                    let vault = Vault("app", "\(secret)-0", validFor: .milliseconds(500))
                    try await server.withClient {
                        $0.connection.credentialsProvider = vault.provider
                        $0.backoff.limit = .milliseconds(200)
                    } _: { redis in
                        let end = try await Self.rotate(server, admin, redis) { vault.keep("app", $0) }
                        #expect(end == nil)
                        // Each change is found out at once, and not by each connection anew.
                        #expect(vault.calls.count >= 4)
                    }
                }
            }
        }

        @Test("control: with a static password, the rotation ends the consumer", arguments: TestServer.all)
        func rotationWithoutProvider(binary: ServerBinary) async throws {
            try await TestServer.withOwn(binary) { server in
                try await server.withClient { admin in
                    try await Self.makeUser("app", "\(secret)-0", admin)
                    try await server.withClient {
                        $0.connection.username = "app"
                        $0.connection.password = Password("\(secret)-0")
                        $0.backoff.limit = .milliseconds(200)
                    } _: { redis in
                        let end = try await Self.rotate(server, admin, redis) { _ in }
                        #expect((end as? RedisError)?.code == .authenticationFailed)
                    }
                }
            }
        }

        /// The ids of the client's connections, by the user that the server knows them by.
        private static func connections(_ admin: RedisClient) async throws -> [String: Set<String>] {
            try await admin.connections(named: "rotating").reduce(into: [:]) { users, connection in
                users[connection["user"] ?? "", default: []].insert(connection["id"] ?? "")
            }
        }

        @Test(
            "open connections, those of blocked readers included, authenticate again and outlive their former user",
            arguments: TestServer.all,
            [true, false]
        )
        func renewal(binary: ServerBinary, renews: Bool) async throws {
            try await TestServer.withOwn(binary) { server in
                try await server.withClient { admin in
                    for number in 1...2 { try await Self.makeUser("app-\(number)", "\(secret)-\(number)", admin) }
                    // The control: without an end of the validity, open connections are left alone.
                    let vault = Vault("app-1", "\(secret)-1", validFor: renews ? .seconds(1) : nil)
                    try await server.withClient {
                        $0.connection.credentialsProvider = vault.provider
                        $0.connection.clientName = "rotating"
                        $0.sharedConnections = 2
                    } _: { redis in
                        try await Self.renew(admin, redis, vault, renews: renews)
                    }
                }
            }
        }

        private static func renew(
            _ admin: RedisClient,
            _ redis: RedisClient,
            _ vault: Vault,
            renews: Bool
        ) async throws {
            let stream = StreamKey.unique()
            let handled = NumberSet()
            let consumer = group(redis, stream)
            var reading = StreamConsumer.Configuration()
            reading.block = .milliseconds(300)
            let reader = StreamConsumer(redis, stream: stream, from: .beginning, configuration: reading)
            try await withThrowingTaskGroup { tasks in
                tasks.addTask { try await consumer.run { handled.insert($0.number) } }
                tasks.addTask { for try await message in reader { handled.insert(-(Int(message["n"] ?? "") ?? 0)) } }
                try await redis.xadd(stream, ["n": 1])
                try await eventually("both have read") { handled.holdsAll([1, -1]) }
                // Two shared connections, and one for each reader.
                try await eventually("all connections are there") {
                    try await connections(admin)["app-1"]?.count ?? 0 >= 4
                }
                let before = try await connections(admin)["app-1"] ?? []
                vault.keep("app-2", "\(secret)-2")
                if renews {
                    try await eventually("all are authenticated again") {
                        try await connections(admin)["app-2"]?.isSuperset(of: before) == true
                    }
                }
                // The server closes the connections that are still of this user.
                _ = try await admin.send("ACL", "DELUSER", "app-1")
                let kept = try await connections(admin)["app-2", default: []].intersection(before)
                #expect(kept == (renews ? before : []))
                try await redis.xadd(stream, ["n": 2])
                try await eventually("both go on") { handled.holdsAll([2, -2]) }
                tasks.cancelAll()
                while (try? await tasks.next()) != nil {}
            }
        }

        @Test("a new connection that is refused asks the provider once more", arguments: TestServer.all)
        func askedOnceMore(binary: ServerBinary) async throws {
            try await TestServer.withOwn(binary) { server in
                try await server.withClient { admin in
                    try await Self.makeUser("app", "\(secret)-1", admin)
                    let vault = Vault("app", "\(secret)-1", validFor: .seconds(3600))
                    try await server.withClient {
                        $0.connection.credentialsProvider = vault.provider
                    } _: { redis in
                        try await redis.ping()
                        #expect(vault.calls.count == 1)
                        _ = try await admin.send("ACL", "SETUSER", "app", "resetpass", .text(">\(secret)-2"))
                        vault.keep("app", "\(secret)-2")
                        try await redis.withConnection { try await $0.ping() }
                        #expect(vault.calls.count == 2)
                        // The provider does not know of the next change.
                        _ = try await admin.send("ACL", "SETUSER", "app", "resetpass", .text(">\(secret)-3"))
                        await expectError(.authenticationFailed, within: .seconds(4)) {
                            // The first one is open already.
                            try await redis.withConnection { _ in
                                try await redis.withConnection { try await $0.ping() }
                            }
                        }
                        #expect(vault.calls.count == 3)
                    }
                }
            }
        }

        private struct Outage: Error {
            let token = secret
        }

        @Test("a provider that throws or does not return is a retriable error in time", arguments: TestServer.all)
        func failingProvider(binary: ServerBinary) async throws {
            let server = try await TestServer.shared(binary)
            let providers = [
                CredentialsProvider { throw Outage() },
                CredentialsProvider {
                    try await Task.sleep(for: .seconds(86_400))
                    throw Outage()
                },
            ]
            for provider in providers {
                try await server.withClient {
                    $0.connection.credentialsProvider = provider
                    $0.connection.connectTimeout = .milliseconds(200)
                    $0.acquireTimeout = .milliseconds(500)
                } _: { redis in
                    let error = await expectError(.connectionUnavailable, within: .seconds(4)) {
                        try await redis.ping()
                    }
                    #expect(error?.isRetriable == true)
                    #expect(error?.message.contains("credentials provider") == true)
                }
            }
        }
    }
}
