@testable import RedisStreams

/// An entry as a server sends it.
func entry(_ fields: [(name: [UInt8], value: [UInt8])]?) throws -> StreamMessage {
    var bytes: [UInt8] = []
    func bulk(_ string: [UInt8]) { bytes += Array("$\(string.count)\r\n".utf8) + string + Array("\r\n".utf8) }
    bytes += Array("*1\r\n*2\r\n".utf8)
    bulk(Array("1700000000000-3".utf8))
    if let fields {
        bytes += Array("*\(2 * fields.count)\r\n".utf8)
        for (name, value) in fields {
            bulk(name)
            bulk(value)
        }
    } else {
        bytes += Array("*-1\r\n".utf8)
    }
    var reader = RESPReader()
    var batch: MessageBatch?
    try unsafe bytes.withUnsafeBytes { buffer in
        try unsafe reader.read(buffer) { reply in batch = MessageBatch(stream: "orders", reply: reply) }
    }
    guard let message = batch?.first else { throw RedisError(.unexpectedReply, "The test built an invalid reply.") }
    return message
}

func entry(_ fields: KeyValuePairs<String, String>) throws -> StreamMessage {
    try entry(fields.map { (Array($0.key.utf8), Array($0.value.utf8)) })
}

/// The entry that a server has after these fields were added.
func entry(_ fields: StreamFieldsToAdd) throws -> StreamMessage {
    try entry(
        fields.fields.map { field in
            switch field.value {
            case .text(let text): (Array(field.name.utf8), Array(text.utf8))
            case .bytes(let bytes): (Array(field.name.utf8), bytes)
            }
        }
    )
}

/// The fields as `name=value`.
func lines(_ fields: StreamFieldsToAdd) -> [String] {
    fields.fields.map { field in
        switch field.value {
        case .text(let text): "\(field.name)=\(text)"
        case .bytes(let bytes): "\(field.name)=\(bytes)"
        }
    }
}
