internal import NIOCore

#if TLS
internal import NIOSSL
internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// Keeps the contents of certificate files for a minute, so that many connections that are made together read them once. Not
/// for longer, since certificates are replaced while processes run.
final class TLSContextCache: Sendable {
    private struct Entry {
        let settings: TLSSettings
        let context: NIOSSLContext
        let expiry: NIODeadline
    }

    private let entry = Mutex<Entry?>(nil)

    func context(for settings: TLSSettings, now: NIODeadline = .now()) throws -> NIOSSLContext {
        try entry.withLock { entry in
            if let entry, entry.settings == settings, now < entry.expiry { return entry.context }
            let context = try NIOSSLContext(configuration: TLSHandlerFactory.configuration(settings))
            entry = Entry(settings: settings, context: context, expiry: now + .minutes(1))
            return context
        }
    }
}

/// Puts TLS between the socket and the connection.
struct TLSHandlerFactory: Sendable {
    private let context: NIOSSLContext
    /// The name to verify and to send as SNI; `nil` for IP addresses, where the address itself is verified.
    private let serverName: String?

    init(_ settings: TLSSettings, address: ServerAddress, contexts: TLSContextCache) throws(RedisError) {
        guard case .tcp(let host, _) = address else {
            throw RedisError(.invalidConfiguration, "TLS is for TCP: a Unix socket needs none.")
        }
        let name = settings.serverName ?? host
        try settings.validate(for: address)
        serverName = IPAddress(name) == nil ? name : nil
        do {
            context = try contexts.context(for: settings)
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

    fileprivate static func configuration(_ settings: TLSSettings) throws -> TLSConfiguration {
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

    /// Whether the peer has shown a certificate that has expired. Called on the event loop.
    static func certificateHasExpired(in pipeline: ChannelPipeline) -> Bool {
        let handler = try? pipeline.syncOperations.handler(type: NIOSSLClientHandler.self)
        guard let end = handler?.peerCertificate?.notValidAfter else { return false }
        return end < time(nil)
    }
}
#else
/// Keeps nothing where the package is built without TLS.
struct TLSContextCache: Sendable {}

/// Stands in for TLS where the package is built without it.
struct TLSHandlerFactory: Sendable {
    init(_ settings: TLSSettings, address: ServerAddress, contexts: TLSContextCache) throws(RedisError) {
        throw RedisError(
            .invalidConfiguration,
            "TLS was asked for, and the package was built without its TLS trait: enable it."
        )
    }

    func addHandler(to channel: any Channel) throws {}

    static func certificateHasExpired(in pipeline: ChannelPipeline) -> Bool { false }
}
#endif
