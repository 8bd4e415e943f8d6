internal import NIOCore

#if TLS
internal import NIOSSL

/// Puts TLS between the socket and the connection.
struct TLSHandlerFactory: Sendable {
    private let context: NIOSSLContext
    /// The name to verify and to send as SNI; `nil` for IP addresses, where the address itself is verified.
    private let serverName: String?

    init(_ settings: TLSSettings, address: ServerAddress) throws(RedisError) {
        guard case .tcp(let host, _) = address else {
            throw RedisError(.invalidConfiguration, "TLS is for TCP: a Unix socket needs none.")
        }
        let name = settings.serverName ?? host
        let isAddress = (try? SocketAddress(ipAddress: name, port: 0)) != nil
        serverName = isAddress ? nil : name
        do {
            context = try NIOSSLContext(configuration: Self.configuration(settings))
        } catch let error as RedisError {
            throw error
        } catch {
            throw RedisError(
                .invalidConfiguration,
                "The TLS settings do not work: check the certificate and key files.",
                cause: error
            )
        }
    }

    private static func configuration(_ settings: TLSSettings) throws -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        if case .file(let path) = settings.trustRoots { configuration.trustRoots = .file(path) }
        switch settings.verification {
        case .full: configuration.certificateVerification = .fullVerification
        case .dangerouslyDisabled: configuration.certificateVerification = .none
        }
        switch (settings.certificateFile, settings.privateKeyFile) {
        case (nil, nil): break
        case (let certificate?, let key?):
            configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) }
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: key, format: .pem))
        default:
            throw RedisError(
                .invalidConfiguration,
                "A client certificate needs both certificateFile and privateKeyFile."
            )
        }
        return configuration
    }

    func addHandler(to channel: any Channel) throws {
        let handler = try NIOSSLClientHandler(context: context, serverHostname: serverName)
        try channel.pipeline.syncOperations.addHandler(handler)
    }
}
#else
/// Stands in for TLS where the package is built without it.
struct TLSHandlerFactory: Sendable {
    init(_ settings: TLSSettings, address: ServerAddress) throws(RedisError) {
        throw RedisError(
            .invalidConfiguration,
            "TLS was asked for, and the package was built without its TLS trait: enable it."
        )
    }

    func addHandler(to channel: any Channel) throws {}
}
#endif
