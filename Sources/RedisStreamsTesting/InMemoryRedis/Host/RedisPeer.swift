package import NIOCore

/// The client's end of a connection to a ``RedisHost``.
package protocol RedisPeer: Sendable {
    /// The server has sent bytes.
    func received(_ bytes: ByteBuffer)

    /// The server has closed the connection.
    func ended()
}
