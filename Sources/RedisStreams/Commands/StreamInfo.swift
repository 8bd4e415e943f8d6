/// What a server reports about a stream.
///
/// A value is `nil` if the server is too old to report it.
///
/// Source: [XINFO STREAM](https://redis.io/docs/latest/commands/xinfo-stream/).
public struct StreamInfo: Sendable {
    /// The number of entries.
    public var length: Int
    /// The highest id that was ever added.
    public var lastGeneratedID: StreamID
    /// The number of groups.
    public var groupCount: Int
    /// The first entry; `nil` if the stream is empty.
    public var firstEntry: StreamMessage?
    /// The last entry; `nil` if the stream is empty.
    public var lastEntry: StreamMessage?
    /// The values that both the short and the full form report.
    public var details: StreamDetails
}

/// Values about a stream that not every server reports.
///
/// Source: [XINFO STREAM](https://redis.io/docs/latest/commands/xinfo-stream/).
public struct StreamDetails: Sendable, Hashable {
    /// How many entries were ever added. Redis 7.0.
    public var entriesAdded: Int?
    /// The highest id that was ever deleted; `0-0` if none was. Redis 7.0.
    public var maxDeletedEntryID: StreamID?
    /// The id of the first entry; `0-0` if the stream is empty. Redis 7.0.
    public var recordedFirstEntryID: StreamID?
    /// The number of keys of the radix tree that holds the stream.
    public var radixTreeKeys: Int?
    /// The number of nodes of the radix tree that holds the stream.
    public var radixTreeNodes: Int?
    /// How long the server remembers messages of idempotent producers. Redis 8.6.
    public var idempotencyDuration: Duration?
    /// How many messages of each idempotent producer the server remembers. Redis 8.6.
    public var idempotencyMaxSize: Int?
    /// How many idempotent producers the server remembers. Redis 8.6.
    public var producersTracked: Int?
    /// How many messages of idempotent producers the server remembers. Redis 8.6.
    public var idempotentIDsTracked: Int?
    /// How many messages of idempotent producers were added. Redis 8.6.
    public var idempotentIDsAdded: Int?
    /// How many repeated messages of idempotent producers the server did not add. Redis 8.6.
    public var idempotentDuplicates: Int?

    init(_ values: NamedValues) {
        entriesAdded = values.integer("entries-added")
        maxDeletedEntryID = values.id("max-deleted-entry-id")
        recordedFirstEntryID = values.id("recorded-first-entry-id")
        radixTreeKeys = values.integer("radix-tree-keys")
        radixTreeNodes = values.integer("radix-tree-nodes")
        idempotencyDuration = values.integer("idmp-duration").map { .seconds($0) }
        idempotencyMaxSize = values.integer("idmp-maxsize")
        producersTracked = values.integer("pids-tracked")
        idempotentIDsTracked = values.integer("iids-tracked")
        idempotentIDsAdded = values.integer("iids-added")
        idempotentDuplicates = values.integer("iids-duplicates")
    }
}

extension StreamInfo {
    /// `nil` if the reply has another shape.
    init?(stream: StreamKey, reply: RedisReply) {
        guard let values = NamedValues(reply), let length = values.integer("length"),
            let lastGeneratedID = values.id("last-generated-id")
        else { return nil }
        self.length = length
        self.lastGeneratedID = lastGeneratedID
        groupCount = values.integer("groups") ?? 0
        details = StreamDetails(values)
        if let entry = values["first-entry"] {
            guard let batch = MessageBatch(stream: stream, entry: entry) else { return nil }
            firstEntry = batch[0]
        }
        if let entry = values["last-entry"] {
            guard let batch = MessageBatch(stream: stream, entry: entry) else { return nil }
            lastEntry = batch[0]
        }
    }
}
