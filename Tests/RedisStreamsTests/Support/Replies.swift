@testable import RedisStreams

// The replies of a server, built from their parts.

func bulk(_ text: String) -> String { "$\(text.utf8.count)\r\n\(text)\r\n" }

func array(_ elements: [String]) -> String { "*\(elements.count)\r\n" + elements.joined() }

/// The reply to a read without entries.
let nothing = "*-1\r\n"

func entry(_ id: String, _ fields: [String] = ["field", "value"]) -> String {
    array([bulk(id), array(fields.map(bulk))])
}

/// An entry that is pending and has been deleted.
func deletedEntry(_ id: String) -> String { array([bulk(id), "*-1\r\n"]) }

/// The reply of `XREAD` and `XREADGROUP`.
func batch(of stream: String = "orders", _ entries: String...) -> String {
    array([array([bulk(stream), array(entries)])])
}

/// The reply of `XAUTOCLAIM … JUSTID`.
func claimed(next: String = "0-0", _ ids: [String] = [], deleted: [String] = []) -> String {
    array([bulk(next), array(ids.map(bulk)), array(deleted.map(bulk))])
}

/// The reply of `XPENDING` with a range: each message is pending for `ann`, with its delivery count.
func pending(_ entries: (id: String, count: Int)...) -> String {
    array(entries.map { array([bulk($0.id), bulk("ann"), ":1000\r\n", ":\($0.count)\r\n"]) })
}

/// The same reply for messages that were delivered once.
func pending(_ ids: String...) -> String {
    array(ids.map { array([bulk($0), bulk("ann"), ":1000\r\n", ":1\r\n"]) })
}

/// The reply of the script `reclaim`: the reclaimed messages with their counts, those to quarantine, and those whose
/// entry was deleted.
func reclaimed(_ ids: [(id: String, count: Int)], quarantined: [String] = [], deleted: [String] = []) -> String {
    let states: [(String, Int, Int)] =
        ids.map { ($0.id, $0.count, 1) } + quarantined.map { ($0, 1, 0) } + deleted.map { ($0, 1, -1) }
    return array([
        array(ids.map { entry($0.id) }),
        array(states.flatMap { [bulk($0.0), ":\($0.1)\r\n", ":\($0.2)\r\n"] }),
    ])
}

/// The reply of the script `renew`.
///
/// - Parameter owners: The consumers that own the others.
func renewed(others: [String] = [], deleted: [String] = [], owners: [String] = []) -> String {
    array([array(others.map(bulk)), array(deleted.map(bulk)), array(owners.map(bulk))])
}

/// The reply of the script `snapshot`.
func groupSnapshot(
    delivered: String,
    lowestPending: String? = nil,
    read: Int = -1,
    added: Int = -1,
    last: String? = nil
) -> String {
    array([
        bulk(delivered), bulk(lowestPending ?? ""), ":\(read)\r\n", ":\(added)\r\n", ":1\r\n", bulk(""),
        bulk(last ?? delivered),
    ])
}

/// The reply of `XINFO STREAM`, with the fields that the library reads. A server that reports `added` is Redis 7.0 or
/// later.
///
/// - Parameter entries: The first and the last entry.
func streamInfo(
    last: String,
    entries: (first: String, last: String)? = nil,
    length: Int = 1,
    added: Int? = nil,
    maxDeleted: String = "0-0",
    groups: Int = 0
) -> String {
    var parts: [String] = [bulk("length"), ":\(length)\r\n", bulk("radix-tree-keys"), ":1\r\n"]
    parts += [bulk("radix-tree-nodes"), ":2\r\n", bulk("last-generated-id"), bulk(last)]
    if let added {
        parts += [bulk("max-deleted-entry-id"), bulk(maxDeleted), bulk("entries-added"), ":\(added)\r\n"]
    }
    parts += [bulk("groups"), ":\(groups)\r\n", bulk("first-entry"), entries.map { entry($0.first) } ?? "*-1\r\n"]
    parts += [bulk("last-entry"), entries.map { entry($0.last) } ?? "*-1\r\n"]
    return array(parts)
}

/// Returns a batch as it is decoded from a reply.
func messageBatch(of stream: StreamKey = "orders", _ ids: [String]) -> MessageBatch {
    let wire = array(ids.map { entry($0) })
    guard let batch = MessageBatch(stream: stream, reply: reply(wire)) else { fatalError("not a batch: \(ids)") }
    return batch
}

/// Returns the id that a literal spells.
func id(_ text: String) -> StreamID {
    guard let id = StreamID(text) else { fatalError("not an id: \(text)") }
    return id
}

func ids(_ texts: String...) -> [StreamID] { texts.map(id) }
