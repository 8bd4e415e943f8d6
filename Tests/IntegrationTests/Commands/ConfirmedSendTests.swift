import RedisStreams
import Testing

extension IntegrationTests {
    /// Producers whose messages are confirmed by a real replica, or by an append-only file.
    @Suite struct ConfirmedSends {
        private func configuration(_ confirmation: StreamProducer.Confirmation) -> StreamProducer.Configuration {
            var configuration = StreamProducer.Configuration()
            configuration.confirmation = confirmation
            return configuration
        }

        /// Runs `body` with a server and a replica of it, which is up to date.
        private func withReplica(
            _ binary: ServerBinary,
            _ options: TestServer.Options = .init(),
            _ body: (_ replica: TestServer, _ redis: RedisClient) async throws -> Void
        ) async throws {
            var options = options
            // Redis 7.0 waits 5 s for more replicas.
            options.settings.append(["repl-diskless-sync-delay", "0"])
            try await TestServer.withOwn(binary, options) { [options] master in
                var options = options
                options.settings.append(["replicaof", "127.0.0.1", "\(master.port)"])
                try await TestServer.withOwn(binary, options) { replica in
                    try await master.withClient { redis in
                        try await eventually("the replica has caught up") {
                            // Without a write of its own, a connection waits for nothing.
                            try await redis.withConnection { connection in
                                _ = try await connection.send("SET", "n", 1)
                                return try await connection.wait(replicas: 1, timeout: .milliseconds(100)) == 1
                            }
                        }
                        try await body(replica, redis)
                    }
                }
            }
        }

        @Test(
            "a message is sent when the replica has it, and fails while the replica stands still",
            arguments: TestServer.all
        )
        func replicas(binary: ServerBinary) async throws {
            try await withReplica(binary) { replica, redis in
                let patient = configuration(.replicas(1, within: .seconds(20)))
                try await redis.withProducer(of: "orders", configuration: patient) { producer in
                    for number in 0..<1000 { try await producer.submit(["n": .integer(number)]) }
                    try await producer.flush()
                    let copies = try await replica.withClient { try await $0.xlen("orders") }
                    #expect(copies == 1000)
                }
                let limit = Duration.milliseconds(300)
                let brief = configuration(.replicas(1, within: limit))
                try await redis.withProducer(of: "orders", configuration: brief) { producer in
                    replica.pause()
                    let begin = ContinuousClock.now
                    let error = await expectError(.unconfirmed) { try await producer.send(["n": 1000]) }
                    #expect(ContinuousClock.now - begin >= limit)
                    #expect(error?.unconfirmedEntry?.confirmedReplicas == 0)
                    #expect(error?.unconfirmedEntry?.requestedReplicas == 1)
                    let last = try await redis.xrevrange("orders", count: 1)
                    #expect(last.map(\.id) == [error?.unconfirmedEntry?.id])
                    // Control: the reply of the server alone does not depend on the replica.
                    try await redis.withProducer(of: "orders") { _ = try await $0.send(["n": 1001]) }

                    replica.resume()
                    try await eventually("messages are confirmed again") {
                        (try? await producer.send(["n": 1002])) != nil
                    }
                }
            }
        }

        @Test("two replicas are more than one", arguments: TestServer.all)
        func tooMany(binary: ServerBinary) async throws {
            try await withReplica(binary) { _, redis in
                let two = configuration(.replicas(2, within: .milliseconds(100)))
                let producer = try StreamProducer(redis, stream: "orders", configuration: two)
                let error = await expectError(.unconfirmed) { try await producer.send(["n": 1]) }
                #expect(error?.unconfirmedEntry?.confirmedReplicas == 1)
                try await producer.finish()
            }
        }

        @Test("a message is in the append-only files of both, or the server is too old", arguments: TestServer.all)
        func appendOnlyFile(binary: ServerBinary) async throws {
            try await withReplica(binary, .init(isDurable: true)) { _, redis in
                let both = configuration(.appendOnlyFile(local: true, replicas: 1, within: .seconds(20)))
                let producer = try StreamProducer(redis, stream: "orders", configuration: both)
                let isSupported = try await redis.has("7.2")
                if isSupported {
                    for number in 0..<3 { try await producer.send(["n": .integer(number)]) }
                } else {
                    await expectError(.unsupportedByServer) { try await producer.send(["n": 1]) }
                }
                #expect(try await redis.xlen("orders") == (isSupported ? 3 : 0))
                try? await producer.finish()
            }
        }

        @Test("a server without an append-only file says so", arguments: TestServer.all)
        func noFile(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                guard try await redis.has("7.2") else { return }
                let stream = StreamKey.unique()
                let local = configuration(.appendOnlyFile(local: true, replicas: 0, within: .seconds(1)))
                let producer = try StreamProducer(redis, stream: stream, configuration: local)
                let error = await expectError(.unconfirmed) { try await producer.send(["n": 1]) }
                #expect(error?.message.contains("appendonly") == true)
                #expect(try await redis.xlen(stream) == 1)
                try await producer.finish()
            }
        }
    }
}

extension RedisClient {
    /// Whether the server is this version of Redis, or a later one, or Valkey.
    fileprivate func has(_ version: String) async throws -> Bool {
        let info = try await info("server")
        guard let found = info.version, let needed = ServerVersion(version) else { return false }
        return info.server == .valkey || found >= needed
    }
}
