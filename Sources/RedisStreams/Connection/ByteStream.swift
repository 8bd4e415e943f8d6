package import NIOCore

/// A connected stream of bytes: a socket, or the fake that a test puts in its place.
///
/// Its methods are called on the event loop of the connection.
package protocol ByteStream: AnyObject, Sendable {
    /// Sends the bytes, in order behind everything sent before.
    func write(_ bytes: ByteBuffer)

    /// About how many of the written bytes the stream has not sent yet. Callers may ask on any thread.
    var unsentBytes: Int { get }

    /// The address of the client's end, as `CLIENT LIST` shows it: `127.0.0.1:50123`, `[::1]:50123`; `nil` for a Unix socket,
    /// which has none.
    var localAddress: String? { get }

    /// Whether both sides have agreed on TLS, with a certificate that was verified; `nil` for a stream without TLS.
    var isEncrypted: Bool? { get }

    /// Ends the stream in both directions. Bytes that were not sent yet may be lost.
    func close()
}

extension ByteStream {
    /// The stream has sent all of them.
    package var unsentBytes: Int { 0 }

    /// The stream has no TLS.
    package var isEncrypted: Bool? { nil }

    /// The client's end has no address.
    package var localAddress: String? { nil }
}

/// Receives what happens to a byte stream. The stream calls all methods on the event loop of the connection.
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
    /// The transport returns or throws within the connect timeout of `configuration`.
    func connect(
        _ configuration: RedisConnection.Configuration,
        on eventLoop: any EventLoop,
        delegate: any ByteStreamDelegate
    ) async throws(RedisError) -> any ByteStream

    /// The clock that leases on these connections go by.
    var leaseClock: LeaseClock { get }
}

extension Transport {
    /// The clock of the event loop.
    package var leaseClock: LeaseClock { .eventLoop }
}
