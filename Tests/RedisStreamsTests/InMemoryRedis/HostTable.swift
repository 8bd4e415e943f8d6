import NIOCore
import NIOEmbedded
import RedisStreams
@testable import RedisStreamsTesting
import Synchronization

/// A ``RedisHost`` on an event loop whose time stands still. It takes bytes and returns bytes.
final class HostTable {
    /// The client's end of a connection.
    final class Client: RedisPeer {
        private struct State {
            var received = ""
            var hasEnded = false
        }

        private let state = Mutex(State())

        func received(_ bytes: ByteBuffer) { state.withLock { $0.received += String(buffer: bytes) } }
        func ended() { state.withLock { $0.hasEnded = true } }

        /// Returns the bytes that were received since the last call.
        func take() -> String {
            state.withLock { state in
                defer { state.received = "" }
                return state.received
            }
        }

        var hasEnded: Bool { state.withLock(\.hasEnded) }
    }

    let host: RedisHost
    private let eventLoop = EmbeddedEventLoop()

    init(_ version: InMemoryRedis.Version, wallTime: Int = 1_700_000_000_000) {
        host = RedisHost(version: version, password: nil, wallTime: wallTime, eventLoop: eventLoop)
    }

    /// The first of two nodes of a cluster. The slots of these keys are moving from the one to the other.
    init(nodeOf version: InMemoryRedis.Version, moving keys: [StreamKey]) throws {
        let cluster = ClusterModel(version: version, masters: 2, replicas: 0)
        for key in keys { try cluster.beginMoving(key.slot, to: try cluster.owner(of: key.slot) == 0 ? 1 : 0) }
        let states = cluster.models.map { [eventLoop] in
            RedisHost.State($0, wallTime: 1_700_000_000_000, eventLoop: eventLoop)
        }
        let group = HostGroup(HostGroup.Members(states: states, cluster: cluster))
        host = RedisHost(group, index: 0, eventLoop: eventLoop)
    }

    deinit {
        try? eventLoop.syncShutdownGracefully()
    }

    func connect() -> (client: Client, connection: RedisModel.ConnectionID) {
        let client = Client()
        return (client, host.connect(client))
    }

    func send(_ bytes: some Sequence<UInt8>, from connection: RedisModel.ConnectionID) {
        host.received(ByteBuffer(bytes: bytes), from: connection)
        eventLoop.run()
    }

    func send(_ command: [Bytes], from connection: RedisModel.ConnectionID) {
        var bytes = Bytes("*\(command.count)\r\n")
        for argument in command { bytes += Bytes("$\(argument.count)\r\n") + argument + [13, 10] }
        send(bytes, from: connection)
    }

    func advance(by amount: TimeAmount) { eventLoop.advanceTime(by: amount) }
}
