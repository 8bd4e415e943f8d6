/// How TLS connections are made. The defaults verify the server's certificate chain and its name.
public struct TLSSettings: Sendable, Hashable {
    /// Which certificate authorities are trusted.
    public enum TrustRoots: Sendable, Hashable {
        /// Those of the operating system.
        case system
        /// Those of a PEM file.
        case file(String)
    }

    /// What is checked of the server's certificate.
    public enum Verification: Sendable, Hashable {
        /// The chain up to a trusted root, and that the name or IP address is the one that was connected to.
        case full
        /// Nothing. Anybody on the way can read and change everything, the password included: for experiments only.
        case dangerouslyDisabled
    }

    /// Which certificate authorities are trusted. Default: those of the operating system.
    public var trustRoots: TrustRoots = .system

    /// What is checked of the server's certificate. Default: everything.
    public var verification: Verification = .full

    /// The host name that the certificate has to be for, and that is sent to the server (SNI). Default: `nil`, which is
    /// the host connected to. An IP address is verified only as the one connected to: another one is refused.
    public var serverName: String?

    /// A PEM file with the client's certificate chain, for servers that ask for one. Needs ``privateKeyFile``.
    public var certificateFile: String?

    /// A PEM file with the key of ``certificateFile``.
    public var privateKeyFile: String?

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
