import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// Trimming up to what the groups of a stream need.
@Suite(.limitedTime) struct StreamTrimmerTests {
    @Test func `A trimmer trims at intervals, and continues after failures`() async throws {
        let transport = FakeTransport()
        let answers = Replies(report(removed: 3), "-OOM no\r\n", report(removed: 2))
        let server = ScriptedServer(on: transport) { command in
            command.first == "EVALSHA" ? answers.next() ?? report() : nil
        }
        try await transport.withClient(.patient) { redis in
            var configuration = StreamTrimmer.Configuration()
            configuration.jitter = 0
            let trimmer = StreamTrimmer(redis, stream: "orders", configuration: configuration)
            let running = Task { try await trimmer.run() }
            _ = await transport.clock.advance(by: .seconds(30)) { await server.commands.wait(for: 3) }
            var events = trimmer.events.makeAsyncIterator()
            guard case .trimmed(let first) = await events.next() else { return #expect(Bool(false)) }
            #expect(first.removedCount == 3)
            guard case .interrupted(let error, _) = await events.next() else { return #expect(Bool(false)) }
            #expect(error.code == .outOfMemory)
            guard case .trimmed(let second) = await events.next() else { return #expect(Bool(false)) }
            #expect(second.removedCount == 2)
            running.cancel()
            try await running.value
        }
    }

    @Test func `An error that another attempt cannot fix is thrown`() async throws {
        let transport = FakeTransport()
        _ = ScriptedServer(on: transport) { _ in "-NOPERM no\r\n" }
        try await transport.withClient(.patient) { redis in
            var configuration = StreamTrimmer.Configuration()
            configuration.jitter = 0
            let trimmer = StreamTrimmer(redis, stream: "orders", configuration: configuration)
            let error = await transport.clock.advance(by: .seconds(1)) { await caught { try await trimmer.run() } }
            #expect(error?.code == .permissionDenied)
        }
    }

    @Test func `A trimmer warns of a lag once, and again after the group has caught up`() throws {
        var monitor = TrimMonitor(warningLag: 80, maxLength: 100)
        var warned: [Int] = []
        for lag in [79, 80, 95, 10, 85] {
            for event in monitor.events(of: try made(report(groups: group("g", lag: lag)))) {
                if case .lagNearsTrimming("g", let lag, 100) = event { warned.append(lag) }
            }
        }
        #expect(warned == [80, 85])
    }

    @Test func `Without a lag from the server, the lag of a group that needs all entries is their number`() throws {
        var monitor = TrimMonitor(warningLag: 80, maxLength: nil)
        let behind = monitor.events(
            of: try made(report(length: 90, first: "5-0", groups: group("g", needs: "0-1", lag: -1)))
        )
        let within = monitor.events(
            of: try made(report(length: 90, first: "5-0", groups: group("h", needs: "7-1", lag: -1)))
        )
        #expect(behind.count == 1)
        #expect(within.isEmpty)
    }

    @Test func `Lost entries are reported each time, and an abandoned group once`() throws {
        var monitor = TrimMonitor(warningLag: nil, maxLength: 10)
        let reply = report(forced: 5, groups: group("g", isAbandoned: true, hasLost: true))
        expect(monitor.events(of: try made(reply)).count, equals: 3)
        expect(monitor.events(of: try made(reply)).count, equals: 2)
    }

    @Test func `An invalid goal or configuration is refused before anything is sent`() async throws {
        let redis = try FakeTransport().makeClient()
        var goals = [GroupTrim(), GroupTrim(), GroupTrim(), GroupTrim()]
        goals[0].age = .seconds(-1)
        goals[1].maxLength = 0
        goals[2].abandonedAfter = .zero
        goals[3].positions = [""]
        for goal in goals {
            let error = await caught { try await redis.trim("orders", goal) }
            #expect(error?.code == .invalidArgument)
        }
        var configuration = StreamTrimmer.Configuration()
        configuration.interval = .zero
        let trimmer = StreamTrimmer(redis, stream: "orders", configuration: configuration)
        let error = await caught { try await trimmer.run() }
        #expect(error?.code == .invalidConfiguration)
    }

    @Test(arguments: ["*0\r\n", ":1\r\n", "*5\r\n:1\r\n:1\r\n:1\r\n$1\r\nx\r\n*0\r\n", "*-1\r\n"])
    func `A report of another shape is an error`(wire: String) {
        #expect(TrimReport(reply(wire)) == nil)
    }
}

private func made(_ wire: String) throws -> TrimReport { try #require(TrimReport(reply(wire))) }

private func report(
    removed: Int = 0,
    forced: Int = 0,
    length: Int = 0,
    first: String = "0-0",
    groups: String...
) -> String {
    array([":\(removed)\r\n", ":\(forced)\r\n", ":\(length)\r\n", bulk(first), array(groups)])
}

private func group(
    _ name: String,
    needs id: String = "1-0",
    lag: Int = 0,
    isAbandoned: Bool = false,
    hasLost: Bool = false
) -> String {
    array([bulk(name), bulk(id), ":0\r\n", ":\(lag)\r\n", ":\(isAbandoned ? 1 : 0)\r\n", ":\(hasLost ? 1 : 0)\r\n"])
}
