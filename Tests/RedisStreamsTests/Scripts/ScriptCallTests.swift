import RedisStreamsTesting
import Testing

@testable import RedisStreams

@Suite(.limitedTime) struct ScriptCallTests {
    @Test(arguments: [
        ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"), ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
        ),
        (
            "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
                + "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
            "a49b2446a02c645bf419f995b67091253a04a259"
        ),
        ("The quick brown fox jumps over the lazy dog", "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"),
    ])
    func `The digest is the one of the standard`(text: String, digest: String) {
        #expect(SHA1.hexadecimal(of: text) == digest)
    }

    @Test(arguments: [55, 56, 63, 64, 119, 120]) func `Texts around the size of a block have different digests`(
        length: Int
    ) {
        let digests = [length - 1, length, length + 1].map { SHA1.hexadecimal(of: String(repeating: "x", count: $0)) }
        #expect(Set(digests).count == 3)
        #expect(digests.allSatisfy { $0.count == 40 })
    }

    @Test func `Each script has its own name and digest`() {
        #expect(Set(Script.all.map(\.name)).count == Script.all.count)
        #expect(Set(Script.all.map(\.sha1)).count == Script.all.count)
        for script in Script.all { #expect(script.sha1 == SHA1.hexadecimal(of: script.source)) }
    }

    @Test func `The commands of a script are found in its text`() {
        for script in Script.all { #expect(!script.commands.isEmpty, "\(script.name)") }
        #expect(Set(Script.acknowledge.commands) == ["XPENDING", "XACK"])
        #expect(Script.savePosition.commands == ["HMGET", "HSET"])
        #expect(Set(Script.publish.commands) == ["XPENDING", "TYPE", "XADD", "XACK"])
        let trim = ["XINFO GROUPS", "EXISTS", "XPENDING", "XINFO CONSUMERS", "HGET", "TIME", "XTRIM", "XLEN", "XRANGE"]
        #expect(Set(Script.trim.commands) == Set(trim))
    }

    @Test func `If the server does not know a script, its text is sent, and the reply to that counts`() async throws {
        let line = try await Line.open()
        async let reply = line.connection.run(deregister)
        await line.server.expect(call(.deregister, []), answer: "-NOSCRIPT No matching script. Please use EVAL.\r\n")
        await line.server.expect(["EVAL", Script.deregister.source, "1", "orders", "billing", "ann"], answer: ":1\r\n")
        let integer = try await reply.integer
        #expect(integer == 1)
        line.connection.close()
    }

    @Test func `The text is also sent for a call whose reply no task waits for`() async throws {
        let line = try await Line.open()
        let results = Journal<Result<RedisReply, RedisError>>()
        line.connection.enqueueScript(deregister) { results.record($0) }
        await line.server.expect(call(.deregister, []), answer: "-NOSCRIPT No matching script. Please use EVAL.\r\n")
        await line.server.expect(["EVAL", Script.deregister.source, "1", "orders", "billing", "ann"], answer: ":0\r\n")
        #expect(try await results.wait(for: 1)[0].get().integer == 0)
        line.connection.close()
    }

    @Test func `Any other error is thrown, and nothing is sent again`() async throws {
        let line = try await Line.open()
        async let error = caught { try await line.connection.run(deregister) }
        await line.server.expect(call(.deregister, []), answer: "-NOGROUP No such key\r\n")
        #expect(await error?.code == .noGroup)
        async let second = caught { try await line.connection.run(deregister) }
        await line.server.expect(call(.deregister, []), answer: "-NOSCRIPT No matching script. Please use EVAL.\r\n")
        #expect(await line.server.nextCommand()?.first == "EVAL")
        line.server.send("-NOPERM this user has no permissions to run the 'eval' command\r\n")
        #expect(await second?.code == .permissionDenied)
        line.connection.close()
    }

    private var deregister: ScriptCall {
        ScriptCall(.deregister, keys: ["orders"], arguments: [.text("billing"), .text("ann")])
    }
}
