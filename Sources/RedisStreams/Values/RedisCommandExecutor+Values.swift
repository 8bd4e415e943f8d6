// Disfavored: a dictionary literal is a `Dictionary` first, to the compiler, and an encodable one. Its fields would
// lose their order, and a name that stands there twice would trap.

extension RedisCommandExecutor {
    /// Adds an entry whose fields are the properties of a value; returns the id of the entry.
    ///
    /// ```swift
    /// try await redis.xadd("orders", Order(item: "book", total: 12.5))
    /// ```
    ///
    /// How a property becomes a field says ``StreamFieldsToAdd/init(encoding:)``; ``StreamMessage/decode(_:)`` reads the value
    /// back. Everything else is as with the fields written out; so is a dictionary literal, whose order is kept.
    ///
    /// Source: [XADD](https://redis.io/docs/latest/commands/xadd/).
    ///
    /// - Throws: ``RedisError`` with ``RedisError/Code/encodingFailed``, before anything is sent, for a value that
    ///   cannot be fields; otherwise what the command throws.
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
    /// - Throws: ``RedisError`` with ``RedisError/Code/encodingFailed``, before anything is sent, for a value that
    ///   cannot be fields; otherwise what the command throws.
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
