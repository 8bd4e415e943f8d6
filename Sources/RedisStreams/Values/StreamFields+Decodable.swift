extension StreamFields {
    /// Decodes a value whose properties are the fields, as ``StreamFieldsToAdd/init(encoding:)`` encodes it.
    ///
    /// - A `String` is the text of its field, which is never parsed as JSON.
    /// - Every other type is decoded from JSON, and if that fails, from the bare text. So an enum of strings accepts
    ///   `gold`, and also `"gold"`, as other languages may have written it. Dates are ISO 8601 with a time zone. A type
    ///   that accepts numbers as well as text gets the number `1` for the text `1`.
    /// - An optional is `nil` if its field is missing or, unless it is a `String?`, contains `null`.
    /// - If several fields have the same name, the first one counts. Fields that the type does not decode are ignored.
    ///
    /// - Throws: ``RedisError`` with ``RedisError/Code/decodingFailed``, whose message names the field and the expected
    ///   type, but does not contain the field's value. ``RedisError/cause`` is the error of the JSON decoder or of the
    ///   type's own `init(from:)`, which may contain it.
    public func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws(RedisError) -> Value {
        let decoder = FieldsDecoder(fields: self, type: type)
        do {
            let value = try decoder.decodeWhole(type)
            if let failure = decoder.failure { throw failure }
            return value
        } catch {
            throw RedisError(decoding: type, failure: error)
        }
    }
}

extension StreamMessage {
    /// Decodes a value whose properties are the fields, as ``StreamFieldsToAdd/init(encoding:)`` encodes it.
    ///
    /// ```swift
    /// for try await message in consumer.messages {
    ///     let order = try message.decode(Order.self)
    /// }
    /// ```
    ///
    /// The rules are those of ``StreamFields/decode(_:)``.
    ///
    /// - Throws: ``RedisError`` with ``RedisError/Code/decodingFailed`` for a message that was deleted from the stream,
    ///   and for a field that cannot be decoded as its property. The message of the error names the field and the
    ///   expected type, but does not contain the field's value; ``RedisError/cause`` may.
    public func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws(RedisError) -> Value {
        guard !isDeleted else {
            throw RedisError(
                .decodingFailed,
                "\(type) cannot be read: entry \(id) has been deleted from the stream, and its fields are gone."
            )
        }
        return try fields.decode(type)
    }
}
