import RedisStreams
import Testing

extension IntegrationTests {
    /// Client certificates, versions of TLS, and what goes wrong with them, on the servers that were built with TLS.
    @Suite struct TLSFailures {
        enum Version: String, Sendable, CaseIterable, CustomTestStringConvertible {
            case v1_2 = "TLSv1.2"
            case v1_3 = "TLSv1.3"

            var testDescription: String { rawValue }
        }

        /// Runs `body` with a TLS server, and a configuration that it accepts but for the client's certificate.
        private static func withServer(
            _ binary: ServerBinary,
            _ versions: String,
            asksForCertificate: Bool,
            _ body: (RedisClient.Configuration, TestCertificates) async throws -> Void
        ) async throws {
            try await TestCertificates.with { certificates in
                var options = TestServer.Options(
                    settings: [["tls-auth-clients", asksForCertificate ? "yes" : "no"], ["tls-protocols", versions]]
                )
                options.certificate = certificates.local
                try await TestServer.withOwn(binary, options) { server in
                    let port = try #require(server.tlsPort)
                    var configuration = RedisClient.Configuration(address: .tcp(host: "localhost", port: port))
                    configuration.acquireTimeout = .seconds(2)
                    configuration.connection.connectTimeout = .seconds(1)
                    configuration.connection.tls = TLSSettings()
                    configuration.connection.tls?.trustRoots = .file(certificates.authorityFile)
                    try await body(configuration, certificates)
                }
            }
        }

        @Test(
            "a client is known by its certificate, from files and from memory",
            arguments: ServerBinary.withTLS,
            Version.allCases
        )
        func clientCertificate(binary: ServerBinary, version: Version) async throws {
            try await Self.withServer(binary, version.rawValue, asksForCertificate: true) { base, certificates in
                let client = certificates.client
                var configuration = base
                configuration.connection.tls?.clientCertificate = .files(
                    certificate: client.file,
                    privateKey: client.keyFile
                )
                try await withRedisClient(configuration) { redis in
                    try await redis.ping()
                }
                configuration.connection.tls?.trustRoots = .pem(try bytes(ofFile: certificates.authorityFile))
                configuration.connection.tls?.clientCertificate = .pem(
                    certificate: try bytes(ofFile: client.file),
                    privateKey: try bytes(ofFile: client.keyFile)
                )
                try await withRedisClient(configuration) { redis in
                    let stream = StreamKey.unique()
                    try await redis.xadd(stream, ["n": 1])
                    var iterator = GroupConsumer(redis, stream: stream, group: "g").makeAsyncIterator()
                    #expect(try await iterator.next()?["n"] == "1")
                }
            }
        }

        @Test("the error says that a client certificate is missing", arguments: ServerBinary.withTLS, Version.allCases)
        func missingCertificate(binary: ServerBinary, version: Version) async throws {
            try await Self.withServer(binary, version.rawValue, asksForCertificate: true) { configuration, _ in
                try await withRedisClient(configuration) { redis in
                    for _ in 1...5 {
                        let error = await expectError(.tlsFailure, within: .seconds(4)) { try await redis.ping() }
                        #expect(error?.tlsFailure == .clientCertificateRequired)
                        #expect(error?.message.contains("TLSSettings.clientCertificate") == true)
                    }
                    await expectError(.tlsFailure, within: .seconds(4)) {
                        for try await _ in GroupConsumer(redis, stream: "s", group: "g") {}
                    }
                }
            }
        }

        @Test("the error says that a client certificate is refused", arguments: ServerBinary.withTLS, Version.allCases)
        func strangeCertificate(binary: ServerBinary, version: Version) async throws {
            try await Self.withServer(binary, version.rawValue, asksForCertificate: true) { base, certificates in
                var configuration = base
                configuration.connection.tls?.clientCertificate = .files(
                    certificate: certificates.strangeClient.file,
                    privateKey: certificates.strangeClient.keyFile
                )
                try await withRedisClient(configuration) { redis in
                    let error = await expectError(.tlsFailure, within: .seconds(4)) { try await redis.ping() }
                    #expect(error?.tlsFailure == .clientCertificateRefused)
                }
            }
        }

        @Test("a certificate with the key of another is an invalid configuration", arguments: ServerBinary.withTLS)
        func otherKey(binary: ServerBinary) async throws {
            try await Self.withServer(binary, "TLSv1.3", asksForCertificate: true) { base, certificates in
                var configuration = base
                configuration.connection.tls?.clientCertificate = .files(
                    certificate: certificates.client.file,
                    privateKey: certificates.strangeClient.keyFile
                )
                try await withRedisClient(configuration) { redis in
                    await expectError(.invalidConfiguration, within: .seconds(4)) { try await redis.ping() }
                }
            }
        }

        @Test("a server that is too old for the least version is refused", arguments: ServerBinary.withTLS)
        func minimumVersion(binary: ServerBinary) async throws {
            for version in Version.allCases {
                try await Self.withServer(binary, version.rawValue, asksForCertificate: false) { base, _ in
                    var configuration = base
                    try await withRedisClient(configuration) { redis in
                        try await redis.ping()
                    }
                    configuration.connection.tls?.minimumVersion = .v1_3
                    try await withRedisClient(configuration) { redis in
                        if version == .v1_3 {
                            try await redis.ping()
                        } else {
                            let error = await expectError(.tlsFailure, within: .seconds(4)) { try await redis.ping() }
                            #expect(error?.tlsFailure == .noCommonVersion)
                        }
                    }
                }
            }
        }

        @Test("a peer that answers TLS in plain text is told apart from one that does not answer")
        func plaintextPeers() async throws {
            let cases: [(ScriptedPeer.Behaviour, RedisError.Code, RedisError.TLSFailure)] = [
                (.answers("-ERR unknown command\r\n"), .tlsFailure, .plaintextServer),
                (.answers("HTTP/1.1 400 Bad Request\r\n\r\n"), .tlsFailure, .plaintextServer),
                (.answers(""), .connectTimeout, .handshakeTimedOut),
            ]
            for (behaviour, code, failure) in cases {
                try await ScriptedPeer.with(behaviour) { peer in
                    var configuration = peer.configuration
                    configuration.connection.tls = TLSSettings()
                    try await withRedisClient(configuration) { redis in
                        let error = await expectError(code, within: .seconds(4)) { try await redis.ping() }
                        #expect(error?.tlsFailure == failure)
                        #expect(error?.isRetriable == (code == .connectTimeout))
                    }
                }
            }
            try await ScriptedPeer.with(.answersAndCloses("")) { peer in
                var configuration = peer.configuration
                configuration.connection.tls = TLSSettings()
                try await withRedisClient(configuration) { redis in
                    let error = await expectError(.connectionClosed, within: .seconds(4)) { try await redis.ping() }
                    #expect(error?.message.contains("does it speak TLS on this port?") == true)
                }
            }
        }
    }
}
