package import RedisStreams

/// The entries of all workloads: three fields, about 125 bytes with their names. The first one numbers them from 1 up.
package struct Entry: Sendable {
    package static let payloadSize = 62
    package static let itemSize = 40

    private static let item: FieldValue = "an-item-of-forty-characters-0123456789ab"
    private static let text = "a-payload-of-sixty-two-characters-0123456789abcdefghijklmnopqr"

    private let payload: FieldValue

    /// Entries whose last field has `size` bytes, the same as on the C side.
    package init(payload size: Int) {
        payload = .text(size == Self.payloadSize ? Self.text : String(repeating: "p", count: size))
    }

    package func fields(_ number: Int) -> StreamFieldsToAdd {
        ["number": .integer(number), "item": Self.item, "payload": payload]
    }
}
