import RedisStreams
import Testing

extension IntegrationTests {
    /// Servers that are reachable, and cannot serve now.
    @Suite struct OverloadedServers {
        @Test("a stopped server causes an error within the timeout", arguments: TestServer.all)
        func paused(binary: ServerBinary) async throws {
            try await TestServer.withOwn(binary) { server in
                try await server.withClient {
                    $0.connection.commandTimeout = .milliseconds(300)
                    $0.connection.connectTimeout = .milliseconds(300)
                    $0.acquireTimeout = .milliseconds(700)
                } _: { redis in
                    let stream = StreamKey.unique()
                    try await redis.xadd(stream, ["n": 1])
                    server.pause()
                    let error = await expectError(.timeout, within: .seconds(2)) {
                        try await redis.xadd(stream, ["n": 2])
                    }
                    #expect(error?.mayHaveExecuted == true)
                    // The client has closed the connection, and cannot open another one.
                    await expectError(.connectTimeout, within: .seconds(3)) { try await redis.xlen(stream) }
                    server.resume()
                    try await eventually("the client serves again") { (try? await redis.xlen(stream)) != nil }
                }
            }
        }

        @Test("a server at maxclients causes an error, and serves again below it", arguments: TestServer.all)
        func full(binary: ServerBinary) async throws {
            try await TestServer.withOwn(binary, .init(settings: [["maxclients", "2"]])) { server in
                try await server.withClient(.unix) { first in
                    try await first.ping()
                    try await server.withClient {
                        $0.acquireTimeout = .milliseconds(400)
                    } _: { redis in
                        try await redis.ping()
                        let error = await expectError(.tooManyClients, within: .seconds(3)) {
                            try await redis.xread([StreamOffset("s")], block: .milliseconds(10))
                        }
                        #expect(error?.isRetriable == true)
                        try await redis.ping()
                        _ = try await first.send("CONFIG", "SET", "maxclients", "100")
                        let read = try await redis.xread([StreamOffset("s")], block: .milliseconds(10))
                        #expect(read.isEmpty)
                    }
                }
            }
        }

        @Test("the client waits for a server that is loading", arguments: TestServer.all)
        func loading(binary: ServerBinary) async throws {
            let settings = [["enable-debug-command", "yes"]]
            let isOld = binary.name.contains("6.2")
            var options = TestServer.Options(settings: isOld ? [] : settings)
            options.settings += [["save", "100000 1"]]
            try await TestServer.withOwn(binary, options) { server in
                try await server.withClient(.unix) { redis in
                    let stream = StreamKey.unique()
                    try await redis.xadd(stream, ["n": 1])
                    // A server that loads answers only every 2 MB, and newer servers apply the delay to each key.
                    _ = try await redis.send("CONFIG", "SET", "rdbcompression", "no")
                    _ = try await redis.send("DEBUG", "POPULATE", "3000", "filler", "8000")
                    _ = try await redis.send("SAVE")
                    _ = try await redis.send("CONFIG", "SET", "key-load-delay", "200")
                    async let reloaded: Void = {
                        _ = try? await redis.withConnection {
                            try await $0.execute(RawCommand("DEBUG", "RELOAD", "NOSAVE"))
                        }
                    }()
                    var loading = 0
                    try await server.withClient {
                        $0.acquireTimeout = .milliseconds(100)
                    } _: { other in
                        try await eventually("the server has loaded") {
                            do throws(RedisError) {
                                let length = try await other.xlen(stream)
                                return loading > 0 && length == 1
                            } catch {
                                if error.code == .loading { loading += 1 }
                                return false
                            }
                        }
                    }
                    await reloaded
                    #expect(loading > 0)
                }
            }
        }

        @Test("a server out of memory refuses new messages, and still delivers", arguments: TestServer.all)
        func outOfMemory(binary: ServerBinary) async throws {
            try await TestServer.withOwn(binary) { server in
                try await server.withClient { redis in
                    let stream = StreamKey.unique()
                    for n in 1...10 { try await redis.xadd(stream, ["n": .integer(n)]) }
                    var iterator = GroupConsumer(redis, stream: stream, group: "g").makeAsyncIterator()
                    #expect(try await iterator.next()?["n"] == "1")
                    _ = try await redis.send("CONFIG", "SET", "maxmemory", "1")
                    let error = await expectError(.outOfMemory) { try await redis.xadd(stream, ["n": 11]) }
                    #expect(error?.isRetriable == true)
                    for n in 2...10 {
                        #expect(try await iterator.next()?["n"] == "\(n)")
                    }
                    try await eventually("nine are acknowledged") {
                        try await redis.xpending(stream, group: "g").count == 1
                    }
                    _ = try await redis.send("CONFIG", "SET", "maxmemory", "0")
                    try await redis.xadd(stream, ["n": 11])
                    #expect(try await iterator.next()?["n"] == "11")
                }
            }
        }

        @Test(
            "a consumer calls a script again that the server has refused",
            arguments: TestServer.all,
            ["min-replicas-to-write", "maxmemory"]
        )
        func refusedScripts(binary: ServerBinary, setting: String) async throws {
            try await TestServer.withOwn(binary) { server in
                try await server.withClient { redis in
                    let (stream, output) = (StreamKey.unique(), StreamKey.unique())
                    var configuration = GroupConsumer.Configuration()
                    configuration.fencing = .always
                    let consumer = GroupConsumer(redis, stream: stream, group: "g", configuration: configuration)
                    let running = Task {
                        try await consumer.run { message, context in
                            _ = try await redis.send("CONFIG", "SET", .text(setting), "1")
                            if message["n"] == "2" { try context.emit(["of": "2"], to: output) }
                        }
                    }
                    // Once the read blocks, the consumer has finished the probes of its start.
                    try await eventually("the consumer reads") {
                        try await redis.info("clients")["blocked_clients"] == "1"
                    }
                    for n in 1...2 {
                        // Only the settlement adds to the count: the consumer renews leases after seconds.
                        let calls = try await redis.calls(of: "eval", "evalsha")
                        try await redis.xadd(stream, ["n": .integer(n)])
                        try await eventually("a script was called") {
                            try await redis.calls(of: "eval", "evalsha") > calls + 1
                        }
                        _ = try await redis.send("CONFIG", "SET", .text(setting), "0")
                        try await eventually("the message is acknowledged") {
                            try await redis.xpending(stream, group: "g").count == 0
                        }
                    }
                    #expect(try await redis.xlen(output) == 1)
                    running.cancel()
                    try await running.value
                }
            }
        }

        @Test("a busy script causes an error until it ends", arguments: TestServer.all)
        func busy(binary: ServerBinary) async throws {
            try await TestServer.withOwn(binary, .init(settings: [["lua-time-limit", "50"]])) { server in
                try await server.withClient(.unix) { redis in
                    try await redis.ping()
                    async let script = GeneralCommands.error { try await redis.eval("while true do end") }
                    try await server.withClient { other in
                        try await eventually("the server is busy") {
                            await GeneralCommands.error { _ = try await other.xlen("s") }?.code == .busy
                        }
                        _ = try await other.send("SCRIPT", "KILL")
                        // The script ends a moment after the reply.
                        try await eventually("the server serves again") { (try? await other.xlen("s")) == 0 }
                    }
                    #expect(await script?.code == .serverError)
                }
            }
        }
    }
}
