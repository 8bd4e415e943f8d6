#if TLS
import NIOCore
import NIOPosix
import NIOSSL
import RedisStreams
import Testing

extension IntegrationTests {
    /// What a client writes to a server that is not the one that it trusts.
    @Suite struct TLSCapture {
        /// Listens with TLS, answers nothing, and records what clients write.
        private struct Peer {
            let port: Int
            /// The bytes on the wire.
            let written: Recorder<[UInt8]>
            /// The bytes that clients have encrypted for this peer.
            let decrypted: Recorder<[UInt8]>

            static func with(
                _ certificate: TestCertificates.Certificate,
                _ version: TLSVersion,
                _ body: (Peer) async throws -> Void
            ) async throws {
                var tls = TLSConfiguration.makeServerConfiguration(
                    certificateChain: try NIOSSLCertificate.fromPEMFile(certificate.file).map { .certificate($0) },
                    privateKey: .privateKey(try NIOSSLPrivateKey(file: certificate.keyFile, format: .pem))
                )
                tls.minimumTLSVersion = version
                tls.maximumTLSVersion = version
                let context = try NIOSSLContext(configuration: tls)
                let written = Recorder<[UInt8]>()
                let decrypted = Recorder<[UInt8]>()
                let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                    .childChannelInitializer { channel in
                        channel.eventLoop.makeCompletedFuture {
                            let pipeline = channel.pipeline.syncOperations
                            try pipeline.addHandler(Tap(written))
                            try pipeline.addHandler(NIOSSLServerHandler(context: context))
                            try pipeline.addHandler(Tap(decrypted))
                        }
                    }
                    .bind(host: "127.0.0.1", port: 0).get()
                let peer = Peer(port: try #require(channel.localAddress?.port), written, decrypted)
                do { try await body(peer) } catch {
                    try? await channel.close()
                    throw error
                }
                try await channel.close()
            }

            private init(port: Int, _ written: Recorder<[UInt8]>, _ decrypted: Recorder<[UInt8]>) {
                self.port = port
                self.written = written
                self.decrypted = decrypted
            }

            static func text(_ recorder: Recorder<[UInt8]>) -> String {
                String(decoding: recorder.all.flatMap { $0 }, as: UTF8.self)
            }
        }

        private final class Tap: ChannelInboundHandler {
            typealias InboundIn = ByteBuffer
            typealias InboundOut = ByteBuffer

            private let recorder: Recorder<[UInt8]>

            init(_ recorder: Recorder<[UInt8]>) {
                self.recorder = recorder
            }

            func channelRead(context: ChannelHandlerContext, data: NIOAny) {
                recorder.add(Array(unwrapInboundIn(data).readableBytesView))
                context.fireChannelRead(data)
            }

            func errorCaught(context: ChannelHandlerContext, error: any Error) {
                context.close(promise: nil)
            }
        }

        enum Fault: String, Sendable, CaseIterable, CustomTestStringConvertible {
            case expired, wrongName, unknownAuthority

            var testDescription: String { rawValue }

            var failure: RedisError.TLSFailure {
                switch self {
                case .expired: .expiredCertificate
                case .wrongName: .wrongName
                case .unknownAuthority: .untrustedCertificate
                }
            }
        }

        private static func configuration(
            _ peer: Peer,
            _ fault: Fault,
            _ certificates: TestCertificates,
            usesProvider: Bool
        ) -> RedisClient.Configuration {
            var configuration = RedisClient.Configuration(address: .tcp(host: "localhost", port: peer.port))
            configuration.acquireTimeout = .seconds(1)
            configuration.connection.connectTimeout = .milliseconds(500)
            configuration.connection.tls = TLSSettings()
            let isUnknown = fault == .unknownAuthority
            configuration.connection.tls?.trustRoots = .file(
                isUnknown ? certificates.otherAuthorityFile : certificates.authorityFile
            )
            if usesProvider {
                configuration.connection.credentialsProvider = CredentialsProvider {
                    RedisCredentials(username: "ann-the-user", password: Password(secret))
                }
            } else {
                configuration.connection.username = "ann-the-user"
                configuration.connection.password = Password(secret)
            }
            return configuration
        }

        @Test(
            "no byte of user or password is written before the certificate is verified, nor after that has failed",
            arguments: Fault.allCases,
            [TLSVersion.tlsv12, .tlsv13]
        )
        func nothingIsTold(fault: Fault, version: TLSVersion) async throws {
            try await TestCertificates.with { certificates in
                let shown =
                    switch fault {
                    case .expired: certificates.expired
                    case .wrongName: certificates.foreign
                    case .unknownAuthority: certificates.local
                    }
                let words = [secret, "ann-the-user", "AUTH"]
                for usesProvider in [false, true] {
                    try await Peer.with(shown, version) { peer in
                        var configuration = Self.configuration(peer, fault, certificates, usesProvider: usesProvider)
                        try await withRedisClient(configuration) { redis in
                            for _ in 1...2 {
                                let error = await expectError(.tlsFailure) { try await redis.ping() }
                                #expect(error?.tlsFailure == fault.failure)
                            }
                        }
                        #expect(peer.written.count > 0)
                        #expect(peer.decrypted.count == 0)
                        for word in words { #expect(!Peer.text(peer.written).contains(word)) }

                        if usesProvider { return }
                        // The control: this peer does see what a client tells it that verifies nothing.
                        configuration.connection.tls?.verification = .dangerouslyDisabled
                        try await withRedisClient(configuration) { redis in
                            await expectError(.connectTimeout) { try await redis.ping() }
                        }
                        for word in words {
                            #expect(Peer.text(peer.decrypted).contains(word))
                            #expect(!Peer.text(peer.written).contains(word))
                        }
                    }
                }
            }
        }
    }
}
#endif
