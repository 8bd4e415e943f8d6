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

    /// The name that the certificate has to be for. Default: `nil`, which is the host connected to.
    public var serverName: String?

    /// A PEM file with the client's certificate chain, for servers that ask for one. Needs ``privateKeyFile``.
    public var certificateFile: String?

    /// A PEM file with the key of ``certificateFile``.
    public var privateKeyFile: String?

    /// Verified TLS 1.2 or later, with the operating system's certificate authorities.
    public init() {}
}
