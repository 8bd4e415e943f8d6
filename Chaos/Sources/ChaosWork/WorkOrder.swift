import Foundation

/// What a worker is to do: the one argument of `chaos-worker`, as JSON.
package struct WorkOrder: Codable, Sendable {
    package var url: String
    package var stream: String
    package var group: String
    /// The name of the worker, and of its consumer unless `hasGeneratedName` is set.
    package var name: String
    /// Whether the consumer has a generated name instead, which the worker writes to ``nameFile``.
    package var hasGeneratedName = false
    /// The file for the effects.
    package var effects: String
    package var concurrency = 8
    package var batchSize = 50
    package var prefetch = 100
    /// The lease of a message; `nil` to claim nothing.
    package var leaseMilliseconds: Int?
    /// How long a handler takes.
    package var handlingMicroseconds = 0
    /// The stream that gets an output for each message.
    package var output: String?
    /// If set, a handler waits until its process was stopped for at least this long, and then asks at once whether it
    /// still holds its message.
    package var asksAfterMilliseconds: Int?
    /// Whether handlers add outputs by a separate command, whoever owns the message.
    package var isUnfenced = false

    package init(url: String, stream: String, group: String, name: String, effects: String) {
        self.url = url
        self.stream = stream
        self.group = group
        self.name = name
        self.effects = effects
    }

    /// The file for a generated name.
    package var nameFile: String { effects + ".name" }

    /// The order as an argument.
    package func json() throws -> String { String(decoding: try JSONEncoder().encode(self), as: UTF8.self) }

    /// Decodes an order from an argument.
    package init(json: String) throws { self = try JSONDecoder().decode(Self.self, from: Data(json.utf8)) }
}
