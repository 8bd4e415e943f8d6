/// The commands of this consumer, about its stream and its group.
extension GroupConsumer {

    /// A call of a script, with the stream before other keys, and with group and consumer before other arguments.
    func call(_ script: Script, keys: [StreamKey] = [], _ arguments: [FieldValue] = []) -> ScriptCall {
        ScriptCall(script, keys: [stream] + keys, arguments: [.text(group), .text(name)] + arguments)
    }

    /// A call of a script with the ids of messages. The scripts need the ids in ascending order.
    func call(_ script: Script, mode: ReclaimMode? = nil, ids: [StreamID]) -> ScriptCall {
        let ids = ids.sorted().map { FieldValue.text("\($0)") }
        return call(script, (mode.map { [.text($0.rawValue)] } ?? []) + ids)
    }

    func xack(_ ids: [StreamID]) -> XACK { XACK(stream, group: group, ids: ids) }

    /// Reads one message from the pending list of this consumer.
    func pendingEntry(_ id: StreamID) -> XPENDING.Entries {
        XPENDING.Entries(stream, group: group, from: .including(id), to: .including(id), count: 1, consumer: name)
    }

    /// Reads a page of the pending list of this consumer, after an id.
    func pendingEntries(after id: StreamID, count: Int) -> XPENDING.Entries {
        let start: RangeBound = id == .zero ? .unbounded : .excluding(id)
        return XPENDING.Entries(stream, group: group, from: start, count: count, consumer: name)
    }
}
