import NIOCore
import RedisStreams
@testable import RedisStreamsTesting
import Synchronization
import Testing

/// An ``InMemoryCluster`` with raw connections to its nodes.
final class ClusterTable: Sendable {
    /// A connection to a node, with commands and replies as text.
    final class Line: ByteStreamDelegate {
        private struct State {
            var received = ""
            var hasEnded = false
            var stream: (any ByteStream)?
        }

        private let state = Mutex(State())

        func received(_ bytes: ByteBuffer) { state.withLock { $0.received += String(buffer: bytes) } }
        func ended(with error: RedisError?) { state.withLock { $0.hasEnded = true } }

        fileprivate func begin(_ stream: any ByteStream) { state.withLock { $0.stream = stream } }

        /// Sends a command whose arguments are separated by spaces.
        fileprivate func write(_ command: String) {
            state.withLock { $0.stream }?.write(ByteBuffer(string: command + "\r\n"))
        }

        func close() { state.withLock { $0.stream }?.close() }

        /// Removes and returns what was received, with spaces instead of line ends.
        fileprivate func take() -> String {
            state.withLock { state in
                defer { state.received = "" }
                return state.received.split(separator: "\r\n").joined(separator: " ")
                    + (state.hasEnded ? " closed" : "")
            }
        }
    }

    let cluster: InMemoryCluster

    init(_ cluster: InMemoryCluster) {
        self.cluster = cluster
    }

    func connect(_ node: InMemoryCluster.Node) async throws -> Line { try await connect(node.address) }

    func connect(_ address: ServerAddress) async throws -> Line {
        let line = Line()
        let configuration = RedisConnection.Configuration(address: address)
        line.begin(try await cluster.connect(configuration, on: cluster.clock.eventLoop, delegate: line))
        return line
    }

    /// Sends commands, and returns what the node has sent since the last call.
    @discardableResult
    func run(_ commands: String..., on line: Line) async -> String {
        for command in commands { line.write(command) }
        return await received(line)
    }

    /// Returns what a node has sent since the last call.
    func received(_ line: Line) async -> String {
        await cluster.clock.advance(by: .zero)
        return line.take()
    }
}
