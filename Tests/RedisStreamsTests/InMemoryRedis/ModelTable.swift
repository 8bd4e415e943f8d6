import RedisStreams
@testable import RedisStreamsTesting
import Testing

/// A ``RedisModel`` with its own clock, which takes commands as text and returns replies as text.
final class ModelTable {
    let model: RedisModel
    var time = RedisModel.Time(wall: 1_000_000, monotonic: 0)
    private var connections: [Int: RedisModel.ConnectionID] = [:]

    init(_ version: InMemoryRedis.Version = .redis7_0) {
        model = RedisModel(version: version)
    }

    /// Executes a command, whose arguments are separated by spaces. Returns the outputs for all connections.
    @discardableResult
    func run(_ command: String, on number: Int = 0) -> String {
        let arguments = command.split(separator: " ").map { Bytes($0.utf8) }
        model.execute(arguments, on: connection(number), at: time)
        return outputs()
    }

    /// Lets time pass, and lets the wall clock jump by `jump` in addition.
    func advance(_ milliseconds: Int, jumping jump: Int = 0) -> String {
        time.monotonic += milliseconds
        time.wall += milliseconds + jump
        model.advance(to: time)
        return outputs()
    }

    func connection(_ number: Int) -> RedisModel.ConnectionID {
        if let connection = connections[number] { return connection }
        let connection = model.connect(at: time)
        connections[number] = connection
        return connection
    }

    /// The outputs as text. Each begins with the number of its connection, except for connection 0, and has spaces
    /// instead of line ends.
    private func outputs() -> String {
        model.takeOutputs().map { output in
            let number = connections.first { $0.value == output.connection }?.key ?? -1
            let text = String(decoding: output.bytes, as: UTF8.self).split(separator: "\r\n").joined(separator: " ")
            return (number == 0 ? "" : "\(number): ") + text + (output.closes ? "closed" : "")
        }.joined(separator: " | ")
    }
}
