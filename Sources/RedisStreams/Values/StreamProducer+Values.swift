// Disfavored, as `xadd` with a value is, and for the same reason.

extension StreamProducer {
    /// Adds a message whose fields are the properties of a value, and waits for its id; see ``send(_:)-(StreamFieldsToAdd)``.
    ///
    /// - Throws: ``RedisError``, with ``RedisError/Code/encodingFailed`` for a value that cannot be fields.
    @_disfavoredOverload
    @discardableResult
    public func send(_ value: some Encodable & Sendable) async throws(RedisError) -> StreamID {
        try await send(StreamFieldsToAdd(encoding: value))
    }

    /// Puts a message into the buffer whose fields are the properties of a value; see ``submit(_:)-(StreamFieldsToAdd)``.
    ///
    /// - Throws: ``RedisError``, with ``RedisError/Code/encodingFailed`` for a value that cannot be fields.
    @_disfavoredOverload
    @discardableResult
    public func submit(_ value: some Encodable & Sendable) async throws(RedisError) -> Receipt {
        try await submit(StreamFieldsToAdd(encoding: value))
    }
}
