import RedisStreams

/// The entries of all workloads: three fields, about 125 bytes with their names. The first one numbers them from 1 up.
enum Entry {
    private static let item: FieldValue = "an-item-of-forty-characters-0123456789ab"
    private static let payload: FieldValue =
        "a-payload-of-sixty-two-characters-0123456789abcdefghijklmnopqr"

    static func fields(_ number: Int) -> NewFields {
        ["number": .integer(number), "item": item, "payload": payload]
    }
}
