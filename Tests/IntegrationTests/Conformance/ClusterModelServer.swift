import Foundation
@testable import RedisStreamsTesting

/// The in-memory cluster on the clock of the machine, for the conformance tests.
final class ClusterModelServer: ClusterUnderTest {
    private let cluster: ClusterModel
    private let scenario: ClusterScenario
    private var connections: [String: (node: Int, id: RedisModel.ConnectionID)] = [:]
    private var ended: Set<String> = []
    private var received: [String: [UInt8]] = [:]

    /// What the first node answers.
    static func reply(
        to command: [String],
        _ version: InMemoryRedis.Version,
        _ announcement: InMemoryCluster.Announcement
    ) -> RESPText? {
        let cluster = ClusterModel(version: version, masters: 3, replicas: 1, announcement: announcement)
        let time = RedisModel.Time(wall: 0, monotonic: 0)
        let connection = cluster.models[0].connect(at: time)
        cluster.models[0].execute(command.map { Bytes($0.utf8) }, on: connection, at: time)
        var position = 0
        return cluster.models[0].takeOutputs().first.flatMap { RESPText($0.bytes, &position) }
    }

    init(_ version: InMemoryRedis.Version, _ scenario: ClusterScenario) {
        cluster = ClusterModel(version: version, masters: 3, replicas: 1, announcement: .address)
        self.scenario = scenario
    }

    private var now: RedisModel.Time {
        let milliseconds = Int(Date().timeIntervalSince1970 * 1000)
        return RedisModel.Time(wall: milliseconds, monotonic: milliseconds)
    }

    func index(ofPort port: Int) -> Int? { cluster.models.firstIndex { $0.port == port } }

    func send(_ command: [String], on connection: String) -> RESPText {
        block(command, on: connection)
        return reply(on: connection) ?? .line("no reply")
    }

    func block(_ command: [String], on name: String) {
        let node = name.first.flatMap { scenario.places[$0] } ?? 0
        let connection = connections[name] ?? (node, cluster.models[node].connect(at: now))
        connections[name] = connection
        cluster.models[node].execute(command.map { Bytes($0.utf8) }, on: connection.id, at: now)
        collect()
    }

    func reply(on connection: String) -> RESPText? {
        let bytes = received[connection] ?? []
        var position = 0
        guard let reply = RESPText(bytes, &position) else { return nil }
        received[connection] = Array(bytes.dropFirst(position))
        return reply
    }

    func hasReply(on connection: String) -> Bool { !(received[connection] ?? []).isEmpty }

    func hasEnded(_ connection: String) -> Bool { ended.contains(connection) }

    func pull(_ lever: ClusterScenario.Lever) throws {
        for model in cluster.models { model.advance(to: now) }
        let (slot, target) = (scenario.slot, scenario.places["b"] ?? 0)
        switch lever {
        case .begin: try cluster.beginMoving(slot, to: target)
        case .keys: _ = try cluster.moveKeys(of: slot, atMost: .max)
        case .finish: try cluster.finishMoving(slot)
        case .atomic: try cluster.moveAtomically(slot, to: target)
        case .down: cluster.goDown(until: .max)
        case .up: cluster.goDown(until: 0)
        case .failover: _ = try cluster.failOver(scenario.places["a"] ?? 0)
        }
        collect()
    }

    private func collect() {
        for (node, model) in cluster.models.enumerated() {
            for output in model.takeOutputs() {
                let name = connections.first { $0.value.node == node && $0.value.id == output.connection }?.key ?? ""
                received[name, default: []] += output.bytes
                if output.closes { ended.insert(name) }
            }
        }
    }
}
