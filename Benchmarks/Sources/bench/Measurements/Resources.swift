import BenchmarkWork
import Foundation
import RedisStreams

/// The resources that the Swift side uses, against limits.
struct Resources {
    let server: Server
    let options: Options

    private static let megabyte = 1e6

    /// 1,000 consumers that wait: memory, threads, CPU time; and then each handles a message.
    func idleConsumers() async throws -> Figure {
        let limits = (megabytes: 100.0, threads: 8.0, cpuPercent: 1.0)
        var order = server.order(.idleConsumers, messages: 0)
        order.consumers = 1000
        order.seconds = options.seconds
        order.timeLimit = 120
        let keys = order.idleStreams.map { StreamKey($0) }
        let (report, serverSeconds) = try await server.measuringCPU {
            try await cleaning(keys) {
                let report = try await Contestant.swift.process(order).report()
                try await checkIdle(report, keys, groups: order.idleGroups.count)
                return report
            }
        }
        let megabytes = Double(report.resident ?? 0) / Self.megabyte
        let threads = Double(report.threads ?? 0)
        let cpuPercent = report.cpuSeconds / report.seconds * 100
        // The row shows memory; the ratio is the worst of the three.
        let worst = max(megabytes / limits.megabytes, threads / limits.threads, cpuPercent / limits.cpuPercent)
        var figure = Figure(.idleConsumers, values: [worst * limits.megabytes], baseline: [limits.megabytes])
        figure.value = megabytes
        figure.swift = Figure.Usage([Sample(report, messages: order.consumers, serverSeconds: serverSeconds)])
        figure.details = ["resident MB": megabytes, "threads": threads, "CPU %": cpuPercent]
        Progress.say("idle consumers: \(decimal(megabytes)) MB, \(Int(threads)) threads, \(decimal(cpuPercent)) % CPU")
        return figure
    }

    private func checkIdle(_ report: RunReport, _ keys: [StreamKey], groups count: Int) async throws {
        guard report.messages == keys.count * count else {
            throw Failure("idle consumers: \(report.messages) messages were handled, not \(keys.count * count).")
        }
        for key in keys {
            let last = try await server.redis.xinfoStream(key).lastGeneratedID
            let groups = try await server.redis.xinfoGroups(key)
            guard groups.count == count, groups.allSatisfy({ $0.pendingCount == 0 && $0.lastDeliveredID == last })
            else { throw Failure("idle consumers: not every consumer acknowledged its message.") }
        }
    }

    private func cleaning<Result>(_ keys: [StreamKey], _ body: () async throws -> Result) async throws -> Result {
        for key in keys { try await server.redis.del(key) }
        do {
            let result = try await body()
            for key in keys { try await server.redis.del(key) }
            return result
        } catch {
            for key in keys { _ = try? await server.redis.del(key) }
            throw error
        }
    }

    /// A backlog of a gigabyte, and a handler that takes 10 ms: with messages of 1 KB, and of 64 KB.
    func slowHandler() async throws -> Figure {
        let limit = 64.0
        let total = options.isQuick ? 100_000_000 : 1_000_000_000
        var growths: [Int: Double] = [:]
        var samples: [Sample] = []
        for payload in [1000, 64000] {
            try await server.fill(total / payload, payload: payload)
            try await server.resetGroup()
            var order = server.order(.slowHandler, messages: total / payload)
            order.batch = nil
            order.payload = payload
            order.seconds = options.seconds
            let (report, serverSeconds) = try await server.measuringCPU {
                try await Contestant.swift.process(order).report()
            }
            samples.append(Sample(report, messages: report.messages, serverSeconds: serverSeconds))
            let expected = Tally(of: 1...max(1, report.messages), payload: payload)
            try server.check("memory", seen: report.tally, expected: expected)
            try await checkPending(upTo: report.messages)
            growths[payload] = Double((report.resident ?? 0) - (report.residentBefore ?? 0)) / Self.megabyte
            Progress.say("memory, messages of \(payload) bytes: grew by \(decimal(growths[payload] ?? 0)) MB")
        }
        var figure = Figure(.memory, values: [growths.values.max() ?? 0], baseline: [limit])
        figure.swift = Figure.Usage(samples)
        figure.details = ["MB with 1 KB": growths[1000] ?? 0, "MB with 64 KB": growths[64000] ?? 0]
        return figure
    }

    private func checkPending(upTo number: Int) async throws {
        let last = Order.id(of: number)
        let left = try await server.redis.xpending(server.stream, group: Order.group, to: .including(last), count: 1)
        guard left.isEmpty else { throw Failure("memory: a message that was handled is still pending.") }
    }
}
