import ChaosWork
import RedisStreams

extension Strike {
    /// The strikes that remove a stream.
    static let againstStreams: [Strike] = [
        .del, .unlink, .flushAll, .flushDatabaseAsync, .rename, .expire, .swapDatabases,
    ]
}

/// One strike at a fan-out reader that waits for entries after `100-0`: the stream is removed, and recreated with
/// `5-0`. The server does not notify the reader.
struct FanOutRound: Sendable {
    private static let block = Duration.milliseconds(500)

    private let server: ChaosServer
    private let strike: Strike
    private let stream: StreamKey
    private let seen = Handled()

    init(server: ChaosServer, strike: Strike) {
        (self.server, self.strike) = (server, strike)
        stream = StreamKey("fan-out-\(strike)")
    }

    func play(_ outcome: inout Outcome) async throws {
        var part = Outcome()
        try await server.withController { controller in
            try await server.withClient(name: "fan-out") { redis in
                var configuration = StreamConsumer.Configuration()
                configuration.block = Self.block
                let consumer = StreamConsumer(redis, stream: stream, from: .beginning, configuration: configuration)
                let reader = Task {
                    for try await message in consumer { seen.add(message["n"].flatMap { Int($0) } ?? -1) }
                }
                defer { reader.cancel() }
                try await controller.xadd(stream, ["n": 100], id: .id(StreamID(milliseconds: 100)))
                try await eventually("the reader has read and waits") {
                    let waiting = try await controller.connections(of: "fan-out", blocked: true)
                    return seen.contains(100) && !waiting.isEmpty
                }
                try await strike.strike(controller, stream, at: "nobody")
                try await controller.xadd(stream, ["n": 5], id: .id(StreamID(milliseconds: 5)))
                part.fired += 1
                part.tried += 1
                part.recovered(
                    in: try await eventually("the new stream is read", within: Self.block * 2 + .milliseconds(500)) {
                        seen.contains(5)
                    }
                )
                part.demand(consumer.counters.discontinuities > 0, "\(strike), fan-out: no event reports it")
            }
        }
        outcome.add(part)
    }
}
