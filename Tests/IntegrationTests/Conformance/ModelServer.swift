import Foundation
import RedisStreams
@testable import RedisStreamsTesting

/// The in-memory server on the clock of the machine, for the conformance tests.
final class ModelServer {
    private let model: RedisModel
    private var connections: [Int: RedisModel.ConnectionID] = [:]
    private var replies: [RedisModel.ConnectionID: [UInt8]] = [:]

    init(_ version: InMemoryRedis.Version) {
        model = RedisModel(version: version)
    }

    private var now: RedisModel.Time {
        let milliseconds = Int(Date().timeIntervalSince1970 * 1000)
        return RedisModel.Time(wall: milliseconds, monotonic: milliseconds)
    }

    /// Sends a command on the connection with this number. With `endingWait`, a command that blocks times out at once.
    func send(_ command: [String], on number: Int = 0, endingWait: Bool = false) {
        let connection = connections[number] ?? model.connect(at: now)
        connections[number] = connection
        model.execute(command.map { Bytes($0.utf8) }, on: connection, at: now)
        if endingWait, let deadline = model.nextDeadline {
            model.advance(to: RedisModel.Time(wall: now.wall, monotonic: deadline))
        }
        for output in model.takeOutputs() { replies[output.connection, default: []] += output.bytes }
    }

    /// Removes and returns the replies for a connection.
    func replies(on number: Int = 0) -> [RESPText] {
        guard let connection = connections[number], let bytes = replies.removeValue(forKey: connection) else {
            return []
        }
        var (position, found): (Int, [RESPText]) = (0, [])
        while position < bytes.count, let reply = RESPText(bytes, &position) { found.append(reply) }
        return found
    }
}

extension InMemoryRedis.Version {
    /// The version that behaves like this server; `nil` if there is none.
    init?(_ info: ServerInfo) {
        guard let version = info.version else { return nil }
        switch (info.server, version.major, version.minor) {
        case (.redis, 6, 2): self = .redis6_2
        case (.redis, 7, 0): self = .redis7_0
        case (.redis, 8, 2): self = .redis8_2
        case (.valkey, 9, 1): self = .valkey9_1
        default: return nil
        }
    }
}
