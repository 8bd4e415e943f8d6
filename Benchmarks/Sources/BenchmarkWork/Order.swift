import Foundation
package import RedisStreams

/// The work of one process of a measurement.
package struct Order: Codable, Sendable {
    /// The kind of work.
    package enum Job: String, Codable, Sendable {
        case fanOut, fanOutMessages
        case group, groupRun, groupShared
        case xadd, producer
        case latency, latencyRun
        case idleConsumers, backlog, slowHandler
        case fairness, fairnessMixed
    }

    package var job: Job
    package var stream: String
    package var messages: Int
    /// The process ends if it is not done after this many seconds.
    package var timeLimit: UInt32
    /// COUNT of each read; `nil` leaves the library's default.
    package var batch: Int? = 500
    /// The bytes of the field `payload`.
    package var payload = Entry.payloadSize
    /// How many consumers share the work.
    package var consumers = 1
    /// How long a job without an end of its own runs.
    package var seconds = 10.0
    /// How many messages lie between the starts of two passes of `backlog`.
    package var stride = 0

    package init(_ job: Job, stream: String, messages: Int, timeLimit: UInt32) {
        self.job = job
        self.stream = stream
        self.messages = messages
        self.timeLimit = timeLimit
    }

    /// The group of all jobs that need only one.
    package static let group = "bench"
    /// The id that the C side's `fill` gives to the message with this number.
    package static func id(of number: Int) -> StreamID { StreamID(milliseconds: UInt64(1_700_000_000_000 + number)) }

    /// How many messages one pass of `backlog` reads.
    package static let passMessages = 7500
    /// The first samples of a latency run, which warm it up and are dropped.
    package static let warmUp = 200

    /// How long the handler of the message with this number takes, in milliseconds.
    package func jobTime(_ number: Int) -> Int {
        if job == .fairness { return 250 }
        return number % 20 == 7 ? 2000 : 1
    }

    /// How many seconds the jobs take if no consumer is ever idle.
    package var idealSeconds: Double {
        Double((1...max(1, messages)).reduce(0) { $0 + jobTime($1) }) / 1000 / Double(consumers)
    }

    /// The names of the streams and of the groups on each, for `idleConsumers`.
    package var idleStreams: [String] { (0..<10).map { "\(stream):\($0)" } }
    package var idleGroups: [String] { (0..<consumers / 10).map { "\(Self.group)-\($0)" } }

    package var json: String {
        get throws { String(decoding: try JSONEncoder().encode(self), as: UTF8.self) }
    }

    package init(json: String) throws {
        self = try JSONDecoder().decode(Order.self, from: Data(json.utf8))
    }
}
