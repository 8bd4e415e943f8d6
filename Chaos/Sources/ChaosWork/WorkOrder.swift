import Foundation

/// What a worker is to do: the one argument of `chaos-worker`, as JSON.
package struct WorkOrder: Codable, Sendable {
    package var url: String
    package var stream: String
    package var group: String
    /// The name of the consumer, and of the worker in any case.
    package var name: String
    /// Whether the consumer has a generated name instead, which the worker writes to the file of the effects with `.name`.
    package var hasGeneratedName = false
    /// The file for the effects.
    package var effects: String
    package var concurrency = 8
    package var batchSize = 50
    package var prefetch = 100
    /// How long a message is the worker's; `nil` to claim nothing.
    package var leaseMilliseconds: Int?
    /// How long a handler takes.
    package var handlingMicroseconds = 0
    /// The stream that gets an output for each message.
    package var output: String?
    /// A handler waits until its process was stopped for at least so long, and then asks at once if it has its message still.
    package var asksAfterMilliseconds: Int?
    /// Whether outputs are added by a command of their own, without regard to who owns the message.
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

    /// The order that an argument spells.
    package init(json: String) throws { self = try JSONDecoder().decode(Self.self, from: Data(json.utf8)) }
}
