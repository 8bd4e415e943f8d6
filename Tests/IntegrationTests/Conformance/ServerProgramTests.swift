import Foundation
import NIOCore
import NIOPosix
import RedisStreams
import Testing

extension IntegrationTests.Conformance {
    /// What `in-memory-redis` prints with these arguments, and its exit status.
    private static func output(_ arguments: [String]) async throws -> String {
        let folders = CommandLine.arguments.filter { $0.contains(".xctest") }.flatMap { argument in
            let parts = argument.split(separator: "/", omittingEmptySubsequences: false)
            return parts.indices.reversed().map { parts[..<$0].joined(separator: "/") }
        }
        let program = folders.map { "\($0)/in-memory-redis" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
        let path = try #require(program, "in-memory-redis is not beside the tests: \(CommandLine.arguments)")
        let log = "/tmp/in-memory-redis-\(UInt64.random(in: 0...UInt64.max)).log"
        defer { try? FileManager.default.removeItem(atPath: log) }
        let script = "\"$@\"; echo \"status $?\""
        let child = try ChildProcess(["/bin/sh", "-c", script, "sh", path] + arguments, log: log)
        try await eventually("in-memory-redis ends") { child.hasExited }
        return try String(contentsOfFile: log, encoding: .utf8)
    }

    @Test("the program reports that its port is in use")
    func portInUse() async throws {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(channel.localAddress?.port)
        let output = try await Self.output(["--port", "\(port)"])
        #expect(output == "error: Port \(port) is in use already.\nstatus 1\n")
        try await channel.close()
    }

    @Test(
        "the program distinguishes an unknown option from one without a value",
        arguments: [
            ("--foo", "error: There is no option --foo."), ("--port", "error: --port needs a value."),
        ]
    )
    func options(option: String, message: String) async throws {
        let output = try await Self.output([option])
        #expect(output.hasPrefix("\(message)\n"))
        #expect(output.hasSuffix("status 64\n"))
    }
}
