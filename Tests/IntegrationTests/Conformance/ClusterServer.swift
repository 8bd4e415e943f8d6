import NIOCore
import RedisStreams
import Testing

/// A real cluster, for the conformance tests.
final class ClusterServer: ClusterUnderTest {
    private let cluster: RealCluster
    private let scenario: ClusterScenario
    private var connections: [String: RawConnection] = [:]

    init(_ cluster: RealCluster, _ scenario: ClusterScenario) {
        self.cluster = cluster
        self.scenario = scenario
    }

    private func node(_ letter: Character) -> RealCluster.Node { cluster.nodes[scenario.places[letter] ?? 0] }

    func index(ofPort port: Int) -> Int? { cluster.nodes.first { $0.port == port }?.index }

    private func connection(_ name: String) async throws -> RawConnection {
        if let connection = connections[name] { return connection }
        let connection = try await RawConnection(port: node(name.first ?? "a").port)
        connection.close(after: .seconds(20))
        connections[name] = connection
        return connection
    }

    func send(_ command: [String], on name: String) async throws -> RESPText {
        let connection = try await connection(name)
        connection.send([command])
        return await connection.replies(1).first ?? .line("no reply")
    }

    func block(_ command: [String], on name: String) async throws {
        let node = node(name.first ?? "a")
        let before = await Self.blockedClients(of: node)
        try await connection(name).send([command])
        try await eventually("\(name) is blocked") { await Self.blockedClients(of: node) == before + 1 }
    }

    /// Waits until nobody is blocked any more, such as the clients of the scenario before.
    func waitUntilNobodyIsBlocked() async throws {
        for node in cluster.nodes {
            try await eventually("nobody is blocked") { await Self.blockedClients(of: node) == 0 }
        }
    }

    private static func blockedClients(of node: RealCluster.Node) async -> Int {
        let text = await node.text("INFO", "clients")
        guard let value = text.split(separator: "blocked_clients:").dropFirst().first else { return -1 }
        return Int(value.prefix { $0.isNumber }) ?? -1
    }

    func reply(on name: String) async throws -> RESPText? { try await connection(name).replies(1).first }

    /// Gives the server a quarter of a second, in which its cron runs twice.
    func hasReply(on name: String) async throws -> Bool {
        try await Task.sleep(for: .milliseconds(250))
        return try await connection(name).replyCount > 0
    }

    func hasEnded(_ name: String) async throws -> Bool {
        try await Task.sleep(for: .milliseconds(100))
        return try await connection(name).hasEnded
    }

    func pull(_ lever: ClusterScenario.Lever) async throws {
        let (slot, source, target) = (scenario.slot, node("a"), node("b"))
        switch lever {
        case .begin: try await cluster.beginMoving(slot, from: source, to: target)
        case .keys: try await cluster.moveKeys(of: slot, from: source, to: target)
        case .finish: try await cluster.finishMoving(slot, from: source, to: target)
        case .atomic: try await cluster.moveAtomically(slot, from: source, to: target)
        case .down: try await goDown()
        case .up: try await goUp()
        case .failover:
            try await cluster.failOver(to: target)
            try await eventually("the old master knows") {
                await source.text("INFO", "replication").contains("role:slave")
            }
        }
    }

    /// Takes a slot from all nodes, its owner first, and waits until all masters refuse commands. A node may hear once more
    /// from the owner that the slot has one, so it is told again.
    private func goDown() async throws {
        let owner = node("c")
        for node in [owner] + cluster.masters.filter({ $0 !== owner }) {
            try await eventually("the cluster is down") {
                _ = try await node.send("CLUSTER", "DELSLOTS", "\(scenario.foreignSlot)")
                return await node.text("CLUSTER", "INFO").contains("cluster_state:fail")
            }
        }
    }

    /// Gives the slot back.
    private func goUp() async throws {
        try await node("c").order("CLUSTER", "ADDSLOTS", "\(scenario.foreignSlot)")
        try await cluster.waitUntilItWorks()
    }
}
