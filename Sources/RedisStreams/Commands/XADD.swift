/// Adds an entry to a stream.
///
/// Source: [XADD](https://redis.io/docs/latest/commands/xadd/).
public struct XADD: RedisCommand {
    /// `XADD`.
    public static let name = "XADD"

    /// The id that the new entry gets.
    public enum EntryID: Sendable, Hashable {
        /// The server generates the id: its time, and the next free number in that millisecond.
        case auto
        /// This id, which must be above the last id of the stream.
        case id(StreamID)
        /// This millisecond, and the next free number in it. Needs Redis 7.0.
        case milliseconds(UInt64)
    }

    /// The stream. The server creates it if it does not exist, unless ``createStream`` is `false`.
    public var key: StreamKey
    /// The id of the entry. Default: ``EntryID/auto``.
    public var id: EntryID
    /// The fields, at least one.
    public var fields: StreamFieldsToAdd
    /// Whether the server creates a stream that does not exist. Default: `true`.
    public var createStream: Bool
    /// How the server trims the stream when it adds the entry. Default: not at all.
    public var trim: TrimStrategy?
    /// What the server does with the references to entries that it trims. Needs Redis 8.2; no Valkey has it. Default:
    /// it keeps them.
    public var references: ReferencePolicy?
    /// How the server recognises a repetition of this command. Needs Redis 8.6. Default: it does not.
    public var idempotency: Idempotency?

    /// Adds an entry with these fields.
    public init(
        _ key: StreamKey,
        _ fields: StreamFieldsToAdd,
        id: EntryID = .auto,
        createStream: Bool = true,
        trim: TrimStrategy? = nil,
        references: ReferencePolicy? = nil,
        idempotency: Idempotency? = nil
    ) {
        self.key = key
        self.id = id
        self.fields = fields
        self.createStream = createStream
        self.trim = trim
        self.references = references
        self.idempotency = idempotency
    }

    /// The stream.
    public var keys: [StreamKey] { [key] }

    /// Redis 8.6 for idempotency, 8.2 for a reference policy, 7.0 for an id by its millisecond; Valkey 9.2 to trim by
    /// bytes.
    public var requirement: ServerRequirement? {
        if idempotency != nil { return ServerRequirement("XADD with IDMP", redis: "8.6") }
        if references != nil {
            return ServerRequirement("XADD with KEEPREF, DELREF or ACKED", redis: "8.2")
        }
        if let requirement = trim?.requirement(of: Self.name) { return requirement }
        if case .milliseconds = id { return ServerRequirement("XADD with <ms>-*", redis: "7.0", valkey: "7.2") }
        return nil
    }

    /// Refuses an entry without fields, the id `0-0`, idempotency together with an explicit id, and an invalid name.
    public func validate() throws(RedisError) {
        try check(stream: key)
        try validateEntry()
    }

    /// Checks everything except the name of the stream, which a producer checks only once.
    func validateEntry() throws(RedisError) {
        if fields.fields.isEmpty {
            throw invalid("An entry needs at least one field: give one, such as [\"data\": \"\"].")
        }
        if id == .id(.zero) { throw invalid("The id of an entry must be above 0-0.") }
        try check(trim)
        guard let idempotency else { return }
        if id != .auto {
            throw invalid("With idempotency, the server has to choose the id: omit the id, or the idempotency.")
        }
        if idempotency.hasEmptyName {
            throw invalid("The producer and the id of the message must not be empty: idempotency needs them.")
        }
    }

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("XADD")
        encoder.append(key)
        if !createStream { encoder.append("NOMKSTREAM") }
        references?.append(to: &encoder)
        idempotency?.append(to: &encoder)
        trim?.append(to: &encoder)
        switch id {
        case .auto: encoder.append("*")
        case .id(let id): encoder.append(id)
        case .milliseconds(let time): encoder.append("\(time)-*")
        }
        for field in fields.fields {
            encoder.append(field.name)
            field.value.append(to: &encoder)
        }
    }

    /// The id of the entry; `nil` if the stream does not exist and ``createStream`` is `false`.
    public func decode(_ reply: RedisReply) throws(RedisError) -> StreamID? {
        if reply.isNull, !createStream { return nil }
        return try streamID(reply)
    }
}

/// How a server recognises that a producer adds the same entry a second time, after a lost reply.
///
/// The server remembers a limited number of messages for a limited time: see ``XCFGSET``. It recognises the repetition
/// even if the entry has been deleted since.
///
/// Source: [Idempotent message processing](https://redis.io/docs/latest/develop/data-types/streams/idempotency/).
public enum Idempotency: Sendable, Hashable {
    /// `IDMP`: by an id that the producer assigns to the message, and by the producer's name.
    case id(String, producer: String)
    /// `IDMPAUTO`: by the contents of the message, and by the producer's name. Two messages that are equal on purpose
    /// become one entry.
    case contents(producer: String)

    fileprivate var hasEmptyName: Bool {
        switch self {
        case .id(let id, let producer): id.isEmpty || producer.isEmpty
        case .contents(let producer): producer.isEmpty
        }
    }

    fileprivate func append(to encoder: inout CommandEncoder) {
        switch self {
        case .id(let id, let producer):
            encoder.append("IDMP")
            encoder.append(producer)
            encoder.append(id)
        case .contents(let producer):
            encoder.append("IDMPAUTO")
            encoder.append(producer)
        }
    }
}
