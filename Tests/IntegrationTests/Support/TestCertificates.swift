import Foundation
import Testing

/// Certificates for TLS servers, made by the `openssl` command for this run.
struct TestCertificates: Sendable {
    struct Certificate: Sendable {
        let file: String
        let keyFile: String
        /// The authority that the server itself trusts.
        let authorityFile: String
    }

    /// The authority that signed all certificates.
    let authorityFile: String
    /// An authority that signed none.
    let otherAuthorityFile: String
    /// For `localhost` and 127.0.0.1.
    let local: Certificate
    /// For another host.
    let foreign: Certificate
    /// For `localhost`, until yesterday.
    let expired: Certificate
    /// For a client.
    let client: Certificate
    /// For a client, from the other authority.
    let strangeClient: Certificate

    private let folder: String

    private init(in folder: String) async throws {
        self.folder = folder
        authorityFile = "\(folder)/ca.pem"
        otherAuthorityFile = "\(folder)/other.pem"
        try await Self.makeAuthority("\(folder)/ca")
        try await Self.makeAuthority("\(folder)/other")
        local = try await Self.makeCertificate("local", for: "DNS:localhost,IP:127.0.0.1", in: folder)
        foreign = try await Self.makeCertificate("foreign", for: "DNS:elsewhere.test", in: folder)
        expired = try await Self.makeExpiredCertificate("expired", in: folder)
        client = try await Self.makeCertificate("client", for: "DNS:client.test", in: folder)
        strangeClient = try await Self.makeCertificate("strange", for: "DNS:client.test", by: "other", in: folder)
    }

    /// Runs `body` with certificates, and removes them after it.
    static func with<Result>(_ body: (TestCertificates) async throws -> Result) async throws -> Result {
        let folder = "/tmp/redis-streams-tls-\(UInt64.random(in: 0...UInt64.max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        return try await body(TestCertificates(in: folder))
    }

    private static let newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]

    private static func makeAuthority(_ path: String) async throws {
        try await openssl(
            ["req", "-x509"] + newKey + [
                "-keyout", "\(path).key", "-out", "\(path).pem", "-subj", "/CN=Test authority",
            ],
            log: "\(path).log"
        )
    }

    private static func makeCertificate(
        _ name: String,
        for names: String,
        by authority: String = "ca",
        in folder: String
    ) async throws -> Certificate {
        let path = "\(folder)/\(name)"
        try await openssl(
            ["req", "-x509"] + newKey + [
                "-CA", "\(folder)/\(authority).pem", "-CAkey", "\(folder)/\(authority).key",
                "-keyout", "\(path).key", "-out", "\(path).pem", "-subj", "/CN=Test server", "-addext",
                "subjectAltName=\(names)",
                "-addext", "basicConstraints=critical,CA:FALSE",
            ],
            log: "\(path).log"
        )
        return Certificate(file: "\(path).pem", keyFile: "\(path).key", authorityFile: "\(folder)/ca.pem")
    }

    private static func makeExpiredCertificate(_ name: String, in folder: String) async throws -> Certificate {
        let path = "\(folder)/\(name)"
        try await openssl(
            ["req", "-new"] + newKey.dropLast(2) + [
                "-keyout", "\(path).key", "-out", "\(path).csr", "-subj", "/CN=Test server",
                "-addext", "subjectAltName=DNS:localhost",
            ],
            log: "\(path).log"
        )
        try await openssl(
            [
                "x509", "-req", "-in", "\(path).csr", "-CA", "\(folder)/ca.pem", "-CAkey", "\(folder)/ca.key",
                "-days", "-1", "-copy_extensions", "copy", "-out", "\(path).pem",
            ],
            log: "\(path).log"
        )
        return Certificate(file: "\(path).pem", keyFile: "\(path).key", authorityFile: "\(folder)/ca.pem")
    }

    private static func openssl(_ arguments: [String], log: String) async throws {
        let child = try ChildProcess(["openssl"] + arguments, log: log)
        try await eventually("openssl ends") { child.hasExited }
        let product = try #require(arguments.firstIndex(of: "-out").map { arguments[$0 + 1] })
        guard FileManager.default.fileExists(atPath: product) else {
            let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
            throw ChildProcess.Failure(description: "openssl 3 is needed, and failed: \(text.suffix(500))")
        }
    }
}

/// The contents of a file.
func bytes(ofFile path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }
