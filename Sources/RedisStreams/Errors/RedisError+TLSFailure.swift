extension RedisError {
    /// Why TLS with a server failed. The set is open: compare with the constants, and have a default case.
    ///
    /// An error has one if it is of the kind ``Code/tlsFailure``, which waiting does not mend, or if TLS was not agreed on
    /// within the connect timeout (``Code/connectTimeout``), which may pass.
    public struct TLSFailure: Sendable, Hashable, CustomStringConvertible {
        /// The name of the reason.
        public let description: String

        private init(_ name: String) {
            description = name
        }

        // MARK: The server's certificate

        /// The server's certificate has expired, or is not valid yet by the clock of this machine.
        public static let expiredCertificate = TLSFailure("expiredCertificate")
        /// The server's certificate is for another name or address than the one connected to.
        public static let wrongName = TLSFailure("wrongName")
        /// The server's certificate is not from an authority that is trusted here.
        public static let untrustedCertificate = TLSFailure("untrustedCertificate")

        // MARK: The client's certificate

        /// The server demands a client certificate, and this client has none.
        public static let clientCertificateRequired = TLSFailure("clientCertificateRequired")
        /// The server does not accept the client's certificate.
        public static let clientCertificateRefused = TLSFailure("clientCertificateRefused")

        // MARK: The protocol

        /// The server does not speak TLS on this port.
        public static let plaintextServer = TLSFailure("plaintextServer")
        /// The server speaks TLS on this port, and this client does not.
        public static let encryptedServer = TLSFailure("encryptedServer")
        /// The two sides have no version of TLS in common.
        public static let noCommonVersion = TLSFailure("noCommonVersion")
        /// The server accepted the connection, and TLS was not agreed on within the connect timeout. This may pass.
        public static let handshakeTimedOut = TLSFailure("handshakeTimedOut")
        /// Something else; see the message, and the cause.
        public static let other = TLSFailure("other")
    }
}
