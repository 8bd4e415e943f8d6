/// What the script `reclaim` returns.
struct ReclaimedMessages: Sendable {
    var batch: MessageBatch
    /// The delivery counts of the messages of the batch.
    var counts: [DeliveryCount] = []
    /// Messages that a process may have crashed on: the script did not reclaim them.
    var candidates: [Quarantine.Candidate] = []
    var deleted: [StreamID] = []

    init(_ reply: RedisReply, to call: ScriptCall, of stream: StreamKey) throws(RedisError) {
        let parts = Array(try call.elements(reply))
        guard parts.count == 2 else { throw call.unexpected(reply) }
        batch = try call.batch(of: stream, parts[0])
        let states = Array(try call.elements(parts[1]))
        for first in stride(from: 0, to: states.count - states.count % 3, by: 3) {
            let id = try call.streamID(states[first])
            let count = DeliveryCount(try call.integer(states[first + 1]))
            switch try call.integer(states[first + 2]) {
            case 0: candidates.append(.init(id: id, count: count))
            case 1: counts.append(count)
            default: deleted.append(id)
            }
        }
        guard counts.count == batch.count else { throw call.unexpected(reply) }
    }

    /// Keeps only the messages with these ids.
    mutating func keep(_ ids: Set<StreamID>) {
        if batch.allSatisfy({ ids.contains($0.id) }) { return }
        counts = zip(batch, counts).filter { ids.contains($0.0.id) }.map(\.1)
        batch = batch.filter { ids.contains($0.id) }
    }
}
