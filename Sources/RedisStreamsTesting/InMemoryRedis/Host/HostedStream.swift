internal import NIOCore
internal import RedisStreams

/// The client's end of a connection to a host, for a `Transport`.
final class HostedStream: ByteStream {
    private let host: RedisHost
    private let connection: RedisModel.ConnectionID

    init(host: RedisHost, connection: RedisModel.ConnectionID) {
        self.host = host
        self.connection = connection
    }

    func write(_ bytes: ByteBuffer) { host.received(bytes, from: connection) }
    func close() { host.closed(connection) }
    var localAddress: String? { connection.address }
}

/// Passes what a host sends to a connection of the library.
struct HostedPeer: RedisPeer {
    let delegate: any ByteStreamDelegate

    func received(_ bytes: ByteBuffer) { delegate.received(bytes) }
    func ended() { delegate.ended(with: nil) }
}
