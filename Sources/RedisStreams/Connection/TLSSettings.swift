/// How TLS connections are made. The defaults verify the server's certificate chain and its name.
///
/// ```swift
/// var tls = TLSSettings()
/// tls.trustRoots = .file("/etc/redis/ca.pem")
/// tls.clientCertificate = .files(certificate: "/etc/redis/client.pem", privateKey: "/etc/redis/client.key")
/// configuration.connection.tls = tls
/// ```
///
/// Nothing of the handshake with Redis, the password included, is sent before the server's certificate is verified. What
/// goes wrong is an error with the reason in ``RedisError/tlsFailure``. TLS has to be agreed on within
/// ``RedisConnection/Configuration/connectTimeout``.
///
/// Files are read again after a minute, for the connections that are made then, so that a certificate can be replaced while
/// the process runs.
public struct TLSSettings: Sendable, Hashable {
    /// Which certificate authorities are trusted.
    public enum TrustRoots: Sendable, Hashable {
        /// Those of the operating system.
        case system
        /// Only those of a PEM file, or of a folder with PEM files whose names are hashes (`openssl rehash`).
        case file(String)
        /// Only those of this text: the contents of a PEM file.
        case pem([UInt8])
    }

    /// What is checked of the server's certificate.
    public enum Verification: Sendable, Hashable {
        /// The chain up to a trusted root, and that the name or IP address is the one that was connected to.
        case full
        /// Nothing. Anybody on the way can read and change everything, the password included: for experiments only.
        case dangerouslyDisabled
    }

    /// A version of TLS.
    public enum Version: Sendable, Hashable {
        /// TLS 1.2.
        case v1_2
        /// TLS 1.3.
        case v1_3
    }

    /// Which certificate authorities are trusted. Default: those of the operating system.
    public var trustRoots: TrustRoots = .system

    /// What is checked of the server's certificate. Default: everything.
    public var verification: Verification = .full

    /// The host name that the certificate has to be for, and that is sent to the server (SNI). Default: `nil`, which is
    /// the host connected to. An IP address is verified only as the one connected to: another one is refused. A certificate
    /// is for an IP address if it has that address as a subject alternative name.
    public var serverName: String?

    /// The certificate by which a server that asks for one knows this client. Default: `nil`.
    public var clientCertificate: ClientCertificate?

    /// The oldest version of TLS that is accepted. Default: 1.2.
    public var minimumVersion: Version = .v1_2

    /// Verified TLS 1.2 or later, with the operating system's certificate authorities.
    public init() {}

    /// - Throws: ``RedisError`` with ``RedisError/Code/invalidConfiguration``, for a server name that could not be verified.
    func validate(for address: ServerAddress) throws(RedisError) {
        guard let serverName else { return }
        if let fault = ServerAddress.tcp(host: serverName).fault {
            throw RedisError(
                .invalidConfiguration,
                "TLSSettings.serverName cannot be the name of a server (\(fault)). Leave it nil for the host connected to."
            )
        }
        guard let ip = IPAddress(serverName) else { return }
        if case .tcp(let host, _) = address, IPAddress(host) == ip { return }
        throw RedisError(
            .invalidConfiguration,
            "TLSSettings.serverName is an IP address that is not the one connected to: certificates are verified for "
                + "a host name, or for the address of the connection. Set a name, or leave it nil."
        )
    }
}

extension TLSSettings {
    /// The certificate of a client, with the certificates that lead to an authority that the server trusts, and its private
    /// key, without a passphrase. No description shows the key.
    public struct ClientCertificate: Sendable, Hashable {
        enum Source: Sendable, Hashable {
            case files(certificate: String, privateKey: String)
            case pem(certificate: [UInt8], privateKey: [UInt8])
        }

        let source: Source

        /// Two PEM files.
        public static func files(certificate: String, privateKey: String) -> ClientCertificate {
            ClientCertificate(source: .files(certificate: certificate, privateKey: privateKey))
        }

        /// The contents of two PEM files.
        public static func pem(certificate: [UInt8], privateKey: [UInt8]) -> ClientCertificate {
            ClientCertificate(source: .pem(certificate: certificate, privateKey: privateKey))
        }
    }
}

extension TLSSettings.ClientCertificate: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The paths of the files; nothing of what is in memory.
    public var description: String {
        switch source {
        case .files(let certificate, let privateKey): "\(certificate), \(privateKey)"
        case .pem: "PEM"
        }
    }

    /// The paths of the files; nothing of what is in memory.
    public var debugDescription: String { description }

    /// A mirror without children.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
