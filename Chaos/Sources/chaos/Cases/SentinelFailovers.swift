import ChaosWork
import RedisStreams
import Synchronization

/// Sentinels make one server after the other the master, under load: the master is killed and restarted, stopped and
/// continued, or replaced without a fault.
///
/// What a master had confirmed and not replicated is lost with it, which no client can prevent: it is counted. An old
/// master that goes on for 10 s must get nothing from this client, which would be lost as well.
struct SentinelFailovers: ChaosCase {
    /// Whether a master accepts writes only while a replica is in touch.
    var needsReplicas = false

    var name: String { needsReplicas ? "sentinel-replicas" : "sentinel-failovers" }
    var summary: String {
        needsReplicas
            ? "failovers by sentinels, with min-replicas-to-write 1" : "failovers by sentinels: kill, stop, planned"
    }
    let control = Control(
        off: "asking the sentinels: the client has the first master's address",
        sign: "old master"
    )
    let preferredServer: String? = "redis-7.0"
    /// The variant adds nothing that the short form would miss.
    var isLong: Bool { needsReplicas }

    private static let clientName = "under-test"

    private enum Fault: String, CaseIterable {
        case killed, stopped, planned
    }

    func run(_ scene: Scene) async throws -> Outcome {
        let settings = needsReplicas ? [["min-replicas-to-write", "1"], ["min-replicas-max-lag", "1"]] : []
        return try await SentinelGroup.with(scene.server, settings) { group in
            var configuration = group.configuration
            if scene.isControl {
                configuration.topology = .single
                configuration.connection.address = .tcp(host: "127.0.0.1", port: group.servers[0].port)
            }
            configuration.connection.clientName = Self.clientName
            return try await withRedisClient(configuration) { try await play(scene, group, $0) }
        }
    }

    private func play(_ scene: Scene, _ group: SentinelGroup, _ redis: RedisClient) async throws -> Outcome {
        let stream = StreamKey("stream")
        let load = Load(redis, stream, count: .max, rate: 500)
        let consumers = Consumers(redis, stream, count: 2)
        let handled = Handled()
        let highest = Mutex(0)
        let failovers = scene.count(10, quick: 3)
        var outcome = Outcome(planned: failovers)
        try await consumers.running { number, _ in
            handled.add(number)
            highest.withLock { $0 = max($0, number) }
        } _: {
            let producing = Task { try await load.run() }
            do {
                try await load.reached(200)
                for number in 0..<failovers {
                    let fault = Fault.allCases[number % Fault.allCases.count]
                    try await failOver(
                        by: fault,
                        group,
                        load,
                        &outcome,
                        within: scene.isQuick ? .seconds(20) : .seconds(5)
                    ) { highest.withLock { $0 } }
                    outcome.fired += 1
                    if scene.isControl { break }
                }
            } catch {
                outcome.problems.append("\(error)")
            }
            producing.cancel()
            _ = await producing.result
            if !scene.isControl {
                do { try await Consumers.drained(redis, stream) } catch { outcome.problems.append("\(error)") }
            }
        }
        outcome.problems += consumers.problems
        if !scene.isControl { try await check(load, handled, redis, stream, &outcome) }
        return outcome
    }

    /// Makes another server the master, and waits until the client works with it and the old one replicates it.
    private func failOver(
        by fault: Fault,
        _ group: SentinelGroup,
        _ load: Load,
        _ outcome: inout Outcome,
        within limit: Duration,
        highest: () -> Int
    ) async throws {
        guard let old = await group.master() else { throw Failure("The sentinels do not agree on a master.") }
        let before = load.confirmedCount
        let start = ContinuousClock.now
        switch fault {
        case .killed: try await group.servers[old].kill()
        case .stopped: group.servers[old].setStopped(true)
        case .planned: try await group.failOver()
        }
        let new = try await group.switched(from: old)
        let switched = ContinuousClock.now
        let next = load.next
        async let revived: Void = Self.revive(group.servers[old], after: fault)
        async let isIdle = checkIdle(old, of: group, since: switched)
        do {
            try await eventually("the consumers handle what was added after the switch", within: .seconds(20)) {
                highest() >= next
            }
        } catch {
            throw Failure("The client did not recover from the end of the old master: \(error)")
        }
        let recovery = ContinuousClock.now - start
        outcome.recovered(in: recovery)
        try await revived
        outcome.demand(recovery <= limit, "recovery after \(recovery.seconds) s (\(fault.rawValue))")
        let idle = try await isIdle
        outcome.demand(idle.problem == nil, "\(fault.rawValue): \(idle.problem ?? "")")
        outcome.notes.append(
            "\(fault.rawValue): server \(old + 1) → \(new + 1), named after \((switched - start).seconds) s, recovered "
                + "after \(recovery.seconds) s, \(load.confirmedCount - before) confirmed, \(idle.note)"
        )
        try await group.settled()
    }

    private static func revive(_ server: ChaosServer, after fault: Fault) async throws {
        switch fault {
        case .killed: try await server.launch()
        case .stopped: server.setStopped(false)
        case .planned: break
        }
    }

    /// Checks from a second after the switch that the old master gets no command of the client for as long as it says that it
    /// is a master, and until the sentinels make it the master again.
    private func checkIdle(
        _ old: Int,
        of group: SentinelGroup,
        since switched: ContinuousClock.Instant
    ) async throws -> (problem: String?, note: String) {
        let controller = group.controller(old)
        try? await Task.sleep(until: switched + .seconds(1), clock: .continuous)
        var first: Int?
        var rounds = 0
        while ContinuousClock.now - switched < .seconds(9) {
            guard let role = try? await controller.execute(ROLE()), case .master = role else { break }
            let connections = (try? await controller.connections(of: Self.clientName)) ?? []
            if await group.isNamed(old) { return (nil, "the sentinels made the old one the master again") }
            if !connections.isEmpty { return ("\(connections.count) connections to the old master are open", "") }
            let calls = try await Self.calls(controller)
            if let first, calls != first { return ("the old master got \(calls - first) commands", "") }
            first = calls
            rounds += 1
            try await Task.sleep(for: .milliseconds(200))
        }
        let seconds = (ContinuousClock.now - switched).seconds
        return (
            nil, rounds > 0 ? "the old one said master for \(seconds) s and got nothing" : "the old one was no master"
        )
    }

    /// How many commands of streams the server has executed.
    private static func calls(_ controller: RedisClient) async throws -> Int {
        let text = try await controller.send("INFO", "commandstats").string ?? ""
        var calls = 0
        for line in text.split(whereSeparator: \.isNewline) where line.hasPrefix("cmdstat_x") {
            calls += line.split(separator: "=").dropFirst().first.flatMap { Int($0.prefix { $0.isNumber }) } ?? 0
        }
        return calls
    }

    /// Everything that is in the stream at the end was handled. What is confirmed and not there was lost by failovers.
    private func check(
        _ load: Load,
        _ handled: Handled,
        _ redis: RedisClient,
        _ stream: StreamKey,
        _ outcome: inout Outcome
    ) async throws {
        var kept: Set<Int> = []
        var position = RangeBound.unbounded
        while true {
            let page = try await redis.xrange(stream, from: position, count: 5000)
            for message in page { if let number = message["n"].flatMap({ Int($0) }) { kept.insert(number) } }
            guard let last = page.last?.id else { break }
            position = .excluding(last)
        }
        let confirmed = Set(load.confirmed.values)
        outcome.tried = confirmed.count
        outcome.duplicated = handled.duplicates
        outcome.lost = handled.missing(of: Array(confirmed)).count
        let missing = handled.missing(of: Array(kept))
        outcome.demand(missing.isEmpty, "\(missing.count) messages in the stream were not handled")
        let lost = confirmed.subtracting(kept).count
        outcome.notes.append(
            "\(confirmed.count) confirmed; failovers lost \(lost), of which \(lost - outcome.lost) had been handled; "
                + "\(load.givenTwice) ids were given twice"
        )
    }
}
