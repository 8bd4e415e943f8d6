import RedisStreams
import Testing

extension IntegrationTests {
    /// Encrypted connections, on the servers that were built with TLS.
    @Suite struct TLS {
        /// Runs `body` with a TLS server whose password is the secret.
        private static func withServer(
            _ binary: ServerBinary,
            _ certificate: (TestCertificates) -> TestCertificates.Certificate,
            _ body: (TestServer, TestCertificates) async throws -> Void
        ) async throws {
            try await TestCertificates.with { certificates in
                var options = TestServer.Options(settings: [["requirepass", secret]])
                options.certificate = certificate(certificates)
                try await TestServer.withOwn(binary, options) { server in
                    try await body(server, certificates)
                }
            }
        }

        private static func withClient(
            of server: TestServer,
            host: String,
            trusting authority: String?,
            _ configure: (inout RedisClient.Configuration) -> Void = { _ in },
            _ body: (RedisClient) async throws -> Void
        ) async throws {
            let port = try #require(server.tlsPort)
            var configuration = RedisClient.Configuration(address: .tcp(host: host, port: port))
            configuration.connection.password = Password(secret)
            configuration.connection.connectTimeout = .seconds(1)
            configuration.acquireTimeout = .seconds(2)
            var tls = TLSSettings()
            if let authority { tls.trustRoots = .file(authority) }
            configuration.connection.tls = tls
            configure(&configuration)
            try await withRedisClient(configuration, body)
        }

        /// How many times clients have tried to log in: the server counts failed tries, too.
        private static func authentications(_ server: TestServer) async throws -> Int {
            try await server.withClient(.unix) {
                $0.connection.password = Password(secret)
            } _: { redis in
                // The login of this client is counted, too.
                let stats = try await redis.info("commandstats")["cmdstat_auth"] ?? ""
                return Int(stats.dropFirst("calls=".count).prefix { $0 != "," }) ?? 0
            }
        }

        @Test("a server is trusted by chain and name", arguments: ServerBinary.withTLS, ["localhost", "127.0.0.1"])
        func trusted(binary: ServerBinary, host: String) async throws {
            try await Self.withServer(binary, \.local) { server, certificates in
                try await Self.withClient(of: server, host: host, trusting: certificates.authorityFile) { redis in
                    let stream = StreamKey.unique()
                    try await redis.xadd(stream, ["payload": .text(String(repeating: "x", count: 100_000))])
                    #expect(try await redis.xrange(stream).first?["payload"]?.count == 100_000)
                    async let batches = redis.xread([StreamOffset("other")], block: .seconds(10))
                    try await redis.xadd("other", ["n": 1])
                    #expect(try await batches.count == 1)
                    var iterator = GroupConsumer(redis, stream: stream, group: "g").makeAsyncIterator()
                    #expect(try await iterator.next() != nil)
                }
            }
        }

        @Test("a server from an unknown authority gets no password", arguments: ServerBinary.withTLS)
        func unknownAuthority(binary: ServerBinary) async throws {
            try await Self.withServer(binary, \.local) { server, certificates in
                let before = try await Self.authentications(server)
                for authority in [certificates.otherAuthorityFile, nil] {
                    try await Self.withClient(of: server, host: "localhost", trusting: authority) { redis in
                        for _ in 1...2 {
                            await expectError(.tlsFailure, within: .seconds(2)) { try await redis.ping() }
                        }
                        await expectError(.tlsFailure, within: .seconds(2)) {
                            for try await _ in StreamConsumer(redis, stream: "s") {}
                        }
                    }
                }
                #expect(try await Self.authentications(server) == before + 1)
            }
        }

        @Test(
            "a server with the certificate of another gets no password",
            arguments: ServerBinary.withTLS,
            ["localhost", "127.0.0.1"]
        )
        func wrongName(binary: ServerBinary, host: String) async throws {
            try await Self.withServer(binary, \.foreign) { server, certificates in
                let before = try await Self.authentications(server)
                try await Self.withClient(of: server, host: host, trusting: certificates.authorityFile) { redis in
                    await expectError(.tlsFailure, within: .seconds(2)) { try await redis.ping() }
                    await expectError(.tlsFailure, within: .seconds(2)) {
                        for try await _ in GroupConsumer(redis, stream: "s", group: "g") {}
                    }
                }
                #expect(try await Self.authentications(server) == before + 1)
                try await Self.withClient(of: server, host: host, trusting: certificates.authorityFile) {
                    $0.connection.tls?.serverName = "elsewhere.test"
                } _: { redis in
                    try await redis.ping()
                }
            }
        }

        @Test("a TLS error names its cause in one plain line", arguments: ServerBinary.withTLS)
        func plainWords(binary: ServerBinary) async throws {
            typealias Case = (
                (TestCertificates) -> TestCertificates.Certificate, trusts: Bool, RedisError.TLSFailure, words: String
            )
            let cases: [Case] = [
                (\.local, false, .untrustedCertificate, "not from an authority that is trusted here"),
                (\.foreign, true, .wrongName, "for another host"),
                (\.expired, true, .expiredCertificate, "has expired"),
            ]
            for (certificate, trusts, failure, words) in cases {
                try await Self.withServer(binary, certificate) { server, certificates in
                    let authority = trusts ? certificates.authorityFile : certificates.otherAuthorityFile
                    try await Self.withClient(of: server, host: "localhost", trusting: authority) { redis in
                        let error = await expectError(.tlsFailure, within: .seconds(2)) { try await redis.ping() }
                        #expect(error?.tlsFailure == failure)
                        #expect(error?.message.contains(words) == true)
                        for dump in ["BoringSSL", "OPENSSL", ".cc", ".swift", "\n"] {
                            #expect(error?.message.contains(dump) == false)
                        }
                        #expect(error?.command == "PING")
                    }
                }
            }
        }

        @Test(
            "a consumer goes on after its server was killed and restarted",
            arguments: ServerBinary.withTLS,
            ["kill", "shutdown"]
        )
        func restart(binary: ServerBinary, end: String) async throws {
            try await TestCertificates.with { certificates in
                var options = TestServer.Options(settings: [["requirepass", secret]], isDurable: true)
                options.certificate = certificates.local
                try await TestServer.withOwn(binary, options) { server in
                    try await Self.withClient(of: server, host: "localhost", trusting: certificates.authorityFile) {
                        $0.acquireTimeout = .seconds(10)
                    } _: { redis in
                        let stream = StreamKey.unique()
                        try await redis.xadd(stream, ["n": 1])
                        var iterator = GroupConsumer(redis, stream: stream, group: "g").makeAsyncIterator()
                        #expect(try await iterator.next()?["n"] == "1")
                        var reader = StreamConsumer(redis, stream: stream, from: .beginning).makeAsyncIterator()
                        #expect(try await reader.next()?["n"] == "1")
                        if end == "shutdown" {
                            // Redis ends TLS connections as if it had been killed.
                            _ = try? await redis.send("SHUTDOWN", "NOSAVE")
                        }
                        try await server.kill()
                        try await server.restart()
                        try await redis.xadd(stream, ["n": 2])
                        #expect(try await iterator.next()?["n"] == "2")
                        #expect(try await reader.next()?["n"] == "2")
                    }
                }
            }
        }

        @Test("without verification, a client connects to any server", arguments: ServerBinary.withTLS)
        func unverified(binary: ServerBinary) async throws {
            try await Self.withServer(binary, \.foreign) { server, _ in
                try await Self.withClient(of: server, host: "localhost", trusting: nil) {
                    $0.connection.tls?.verification = .dangerouslyDisabled
                } _: { redis in
                    try await redis.ping()
                }
            }
        }

        @Test("a client without TLS on a port with TLS fails in time", arguments: ServerBinary.withTLS)
        func plainClient(binary: ServerBinary) async throws {
            try await Self.withServer(binary, \.local) { server, certificates in
                try await Self.withClient(of: server, host: "localhost", trusting: nil) {
                    $0.connection.tls = nil
                } _: { redis in
                    let error = await expectError(.tlsFailure, .connectionClosed, within: .seconds(4)) {
                        try await redis.ping()
                    }
                    #expect(error?.message.contains("rediss://") == true)
                    #expect(error?.code == .connectionClosed || error?.tlsFailure == .encryptedServer)
                }
            }
        }

        @Test("a client with TLS on a port without fails in time", arguments: ServerBinary.withTLS)
        func plainServer(binary: ServerBinary) async throws {
            try await Self.withServer(binary, \.local) { server, certificates in
                try await Self.withClient(of: server, host: "localhost", trusting: certificates.authorityFile) {
                    $0.connection.address = .tcp(host: "localhost", port: server.port)
                } _: { redis in
                    let error = await expectError(.tlsFailure, .connectTimeout, within: .seconds(4)) {
                        try await redis.ping()
                    }
                    // A server answers when a random byte is the end of a line to it, and waits for that otherwise.
                    #expect([.plaintextServer, .handshakeTimedOut].contains(error?.tlsFailure))
                    #expect(error?.message.contains("redis://") == true)
                }
            }
        }

        @Test("a rediss URL verifies the server", arguments: ServerBinary.withTLS)
        func url(binary: ServerBinary) async throws {
            try await Self.withServer(binary, \.local) { server, _ in
                let port = try #require(server.tlsPort)
                try await withRedisClient("rediss://:\(secret)@localhost:\(port)") { redis in
                    await expectError(.tlsFailure, within: .seconds(2)) { try await redis.ping() }
                }
            }
        }

        @Test("a missing certificate file is an invalid configuration", arguments: ServerBinary.withTLS)
        func badFiles(binary: ServerBinary) async throws {
            let server = try await TestServer.shared(binary)
            try await server.withClient {
                $0.connection.tls = TLSSettings()
                $0.connection.tls?.trustRoots = .file("/no/such/file.pem")
            } _: { redis in
                await expectError(.invalidConfiguration, within: .seconds(2)) { try await redis.ping() }
            }
        }
    }
}
