// Disfavored, because the compiler would otherwise read a dictionary literal as a `Dictionary`, which is encodable. Its
// fields would lose their order, and a name that occurs twice would trap.

extension RedisCommandExecutor {
    /// Adds an entry whose fields are the properties of a value; returns the id of the entry.
    ///
    /// ```swift
    /// try await redis.xadd("orders", Order(item: "book", total: 12.5))
    /// ```
    ///
    /// See ``StreamFieldsToAdd/init(encoding:)`` for how a property becomes a field; ``StreamMessage/decode(_:)``
    /// decodes the value again. Everything else is the same as with ``StreamFieldsToAdd``. The compiler still reads a
    /// dictionary literal as ``StreamFieldsToAdd``, so that its fields keep their order.
    ///
    /// Source: [XADD](https://redis.io/docs/latest/commands/xadd/).
    ///
    /// - Throws: ``RedisError`` with ``RedisError/Code/encodingFailed``, before the command is sent, for a value that
    ///   cannot be encoded as fields; otherwise the errors of the command.
    @_disfavoredOverload
    @discardableResult
    public func xadd(
        _ stream: StreamKey,
        _ value: some Encodable & Sendable,
        id: XADD.EntryID = .auto,
        trim: TrimStrategy? = nil,
        references: ReferencePolicy? = nil,
        idempotency: Idempotency? = nil
    ) async throws(RedisError) -> StreamID {
        let fields = try StreamFieldsToAdd(encoding: value)
        return try await xadd(
            stream,
            fields,
            id: id,
            trim: trim,
            references: references,
            idempotency: idempotency
        )
    }

    /// Adds an entry whose fields are the properties of a value to a stream that exists; returns its id, or `nil` if
    /// there is no such stream (`NOMKSTREAM`).
    ///
    /// Source: [XADD](https://redis.io/docs/latest/commands/xadd/).
    ///
    /// - Throws: ``RedisError`` with ``RedisError/Code/encodingFailed``, before the command is sent, for a value that
    ///   cannot be encoded as fields; otherwise the errors of the command.
    @_disfavoredOverload
    @discardableResult
    public func xaddIfStreamExists(
        _ stream: StreamKey,
        _ value: some Encodable & Sendable,
        id: XADD.EntryID = .auto,
        trim: TrimStrategy? = nil,
        references: ReferencePolicy? = nil,
        idempotency: Idempotency? = nil
    ) async throws(RedisError) -> StreamID? {
        let fields = try StreamFieldsToAdd(encoding: value)
        return try await xaddIfStreamExists(
            stream,
            fields,
            id: id,
            trim: trim,
            references: references,
            idempotency: idempotency
        )
    }
}
