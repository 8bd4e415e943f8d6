internal import RedisStreams
internal import Synchronization

/// Everything that a master has done, from which a replica becomes the same: the same commands at the same times give the
/// same data.
final class ReplicationLog: Sendable {
    private let events = Mutex<[(event: RedisHost.Event, time: RedisModel.Time)]>([])

    func append(_ event: RedisHost.Event, _ time: RedisModel.Time) {
        events.withLock { $0.append((event, time)) }
    }

    /// Forgets the last `count` writes, and everything behind the first of them: replication has not brought it over.
    func lose(_ count: Int) {
        events.withLock { events in
            var rest = count
            while rest > 0, let last = events.popLast() {
                if case .executed(let command, _) = last.event, Self.isWrite(command) { rest -= 1 }
            }
        }
    }

    /// A server that has done the same. Its clients are gone, which the log keeps, too.
    func replay(_ version: InMemoryRedis.Version, password: String?) -> sending RedisModel {
        events.withLock { events in
            let model = RedisModel(version: version)
            model.password = password.map { Bytes($0.utf8) }
            for (event, time) in events {
                // Waits that had ended by then must not be served.
                model.advance(to: time)
                switch event {
                case .connected: _ = model.connect(at: time)
                case .executed(let command, let connection): model.execute(command, on: connection, at: time)
                case .closed(let connection): model.disconnect(connection)
                }
            }
            guard let end = events.last?.time else { return model }
            for connection in model.clients.keys.sorted() {
                model.disconnect(connection)
                events.append((.closed(connection), end))
            }
            _ = model.takeOutputs()
            return model
        }
    }

    private static func isWrite(_ command: [Bytes]) -> Bool {
        command.first.map { CommandTable.writes.contains($0.text.lowercased()) } ?? false
    }
}
