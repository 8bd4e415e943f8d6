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
                "The TLS settings do not work: check trustRoots, and whether the key of clientCertificate belongs to it.",
                cause: error
            )
        }
    }

    fileprivate static func configuration(_ settings: TLSSettings) throws(RedisError) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion =
            switch settings.minimumVersion {
            case .v1_2: .tlsv12
            case .v1_3: .tlsv13
            }
        switch settings.trustRoots {
        case .system: break
        case .file(let path): configuration.trustRoots = .file(path)
        case .pem(let bytes):
            configuration.trustRoots = .certificates(
                try read("trustRoots", "certificate") { try NIOSSLCertificate.fromPEMBytes(bytes) }
            )
        }
        switch settings.verification {
        case .full: configuration.certificateVerification = .fullVerification
        case .dangerouslyDisabled: configuration.certificateVerification = .none
        }
        if let source = settings.clientCertificate?.source {
            let certificates = try read("clientCertificate", "certificate") { () throws -> [NIOSSLCertificate] in
                switch source {
                case .files(let certificate, _): try NIOSSLCertificate.fromPEMFile(certificate)
                case .pem(let certificate, _): try NIOSSLCertificate.fromPEMBytes(certificate)
                }
            }
            configuration.certificateChain = certificates.map { .certificate($0) }
            configuration.privateKey = .privateKey(
                try read("clientCertificate", "private key without a passphrase") { () throws -> NIOSSLPrivateKey in
                    switch source {
                    case .files(_, let key): try NIOSSLPrivateKey(file: key, format: .pem)
                    case .pem(_, let key): try NIOSSLPrivateKey(bytes: key, format: .pem)
                    }
                }
            )
        }
        return configuration
    }

    /// Reads a part of the settings. The error names the part, and shows nothing of it.
    private static func read<Loaded>(
        _ setting: String,
        _ what: String,
        _ body: () throws -> Loaded
    ) throws(RedisError) -> Loaded {
        do {
            return try body()
        } catch {
            throw RedisError(
                .invalidConfiguration,
                "TLSSettings.\(setting) has no \(what) that can be read: check the file, or the PEM text.",
                cause: error
            )
        }
    }

    func addHandler(to channel: any Channel) throws {
        let handler = try NIOSSLClientHandler(context: context, serverHostname: serverName)
        try channel.pipeline.syncOperations.addHandler(handler)
    }

    /// The certificate that the peer has shown, and whether it is valid now. Called on the event loop.
    static func peer(in pipeline: ChannelPipeline) -> PeerCertificate {
        let handler = try? pipeline.syncOperations.handler(type: NIOSSLClientHandler.self)
        guard let certificate = handler?.peerCertificate else { return .none }
        let now = time(nil)
        if certificate.notValidAfter < now { return .expired }
        return certificate.notValidBefore > now ? .notYetValid : .valid
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

    static func peer(in pipeline: ChannelPipeline) -> PeerCertificate { .none }
}
#endif

/// What is known of the certificate of the peer, before anything of it is verified.
enum PeerCertificate {
    /// The peer has shown none yet.
    case none
    case valid, expired, notYetValid
}
