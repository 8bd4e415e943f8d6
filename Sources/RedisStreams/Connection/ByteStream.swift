package import NIOCore

/// A connected stream of bytes: a socket, or what a test puts in its place.
///
/// Its methods are called on the event loop of the connection.
package protocol ByteStream: AnyObject, Sendable {
    /// Sends the bytes, in order behind everything sent before.
    func write(_ bytes: ByteBuffer)

    /// How many of the bytes written have not left yet, a few requeue. May be asked on any thread.
    var unsentBytes: Int { get }

    /// Where the stream begins, as the server tells it of a client: `127.0.0.1:50123`, `[::1]:50123`; `nil` if it has no
    /// such address, as a Unix socket.
    var localAddress: String? { get }

    /// Ends the stream in both directions. Bytes that were not sent yet may be lost.
    func close()
}

extension ByteStream {
    /// All have left.
    package var unsentBytes: Int { 0 }

    /// There is none.
    package var localAddress: String? { nil }
}

/// What a byte stream tells. All methods are called on the event loop of the connection.
package protocol ByteStreamDelegate: AnyObject, Sendable {
    /// Bytes have arrived, split anywhere.
    func received(_ bytes: ByteBuffer)

    /// The stream has ended: because of `error`, or because the peer closed it.
    func ended(with error: RedisError?)
}

/// Opens byte streams.
package protocol Transport: Sendable {
    /// Connects, and reports everything that happens afterwards to `delegate`.
    ///
    /// Within the connect timeout of `configuration`, it returns or throws.
    func connect(
        _ configuration: RedisConnection.Configuration,
        on eventLoop: any EventLoop,
        delegate: any ByteStreamDelegate
    ) async throws(RedisError) -> any ByteStream

    /// What leases go by on these connections.
    var leaseClock: LeaseClock { get }
}

extension Transport {
    /// The clock of the event loop.
    package var leaseClock: LeaseClock { .eventLoop }
}
