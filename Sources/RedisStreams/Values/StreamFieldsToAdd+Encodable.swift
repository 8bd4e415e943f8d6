extension StreamFieldsToAdd {
    /// The properties of `value`, each as its own field, in the order in which the value encodes them.
    ///
    /// ```swift
    /// struct Order: Codable {
    ///     var item: String
    ///     var total: Double
    ///     var tags: [String]
    ///     var note: String?
    /// }
    /// // item → book, total → 12.5, tags → ["new"]; no field for the note
    /// let fields = try StreamFieldsToAdd(encoding: Order(item: "book", total: 12.5, tags: ["new"], note: nil))
    /// ```
    ///
    /// - A property whose JSON is a string is stored as its bare text: a `String`, an enum of strings, a `UUID`, a
    ///   `URL`, `Data` (Base64), and a `Date` (ISO 8601 in UTC, to the millisecond).
    /// - Every other property is stored as compact JSON, with the keys of objects sorted.
    /// - A property that is `nil` gets no field.
    /// - The entries of a dictionary become fields in the order of their names.
    ///
    /// The bare text of any type but `String` keeps its JSON quotes if it is `null`, or if it begins with a quotation
    /// mark itself, so that it decodes unchanged. Any reader that reads text as text and everything else as JSON can
    /// decode these fields; ``StreamMessage/decode(_:)`` is one.
    ///
    /// - Throws: ``RedisError`` with ``RedisError/Code/encodingFailed`` for a value that is not an object (a number, a
    ///   string, an array), for one that has nothing to encode, and, with the name of the field, for a property that
    ///   JSON cannot represent, such as a number that is not finite, or whose own `encode(to:)` throws.
    public init(encoding value: some Encodable) throws(RedisError) {
        let encoder = FieldsEncoder(type: type(of: value))
        do {
            try encoder.encodeWhole(value)
            self = try encoder.fields()
        } catch {
            throw RedisError(encoding: type(of: value), failure: error)
        }
    }
}
