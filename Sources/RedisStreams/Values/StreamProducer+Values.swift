// Disfavored for the same reason as `xadd` with a value.

extension StreamProducer {
    /// Adds a message whose fields are the properties of a value, and waits for its id; see
    /// ``send(_:)-(StreamFieldsToAdd)``.
    ///
    /// - Throws: ``RedisError``, with ``RedisError/Code/encodingFailed`` for a value that cannot be encoded as fields.
    @_disfavoredOverload
    @discardableResult
    public func send(_ value: some Encodable & Sendable) async throws(RedisError) -> StreamID {
        try await send(StreamFieldsToAdd(encoding: value))
    }

    /// Adds a message whose fields are the properties of a value to the buffer; see
    /// ``submit(_:)-(StreamFieldsToAdd)``.
    ///
    /// - Throws: ``RedisError``, with ``RedisError/Code/encodingFailed`` for a value that cannot be encoded as fields.
    @_disfavoredOverload
    @discardableResult
    public func submit(_ value: some Encodable & Sendable) async throws(RedisError) -> Receipt {
        try await submit(StreamFieldsToAdd(encoding: value))
    }
}
