/// What ``RedisCommandExecutor/redrive(_:count:)`` has put back, and what not.
public struct RedriveResult: Sendable, Hashable {
    /// The ids that the messages have now, one for each message that was put back.
    public var ids: [StreamID] = []
    /// The dead letters that stay where they are: their fields were omitted, since they did not fit, and their original
    /// entries are no longer in their streams, or their groups no longer exist.
    public var remaining: [StreamID] = []

    /// A result without ids.
    public init() {}
}

extension RedisCommandExecutor {
    /// Puts dead letters back, the oldest first, so that they are handled again.
    ///
    /// The server puts a message back and removes its dead letter in one step. If the original entry is still in its
    /// stream, it becomes pending again for its group alone, with all its attempts left, and a consumer of the group
    /// claims it with its next claim scan; a consumer without leases (``GroupConsumer/Configuration/claimIdleTime`` of
    /// `nil`) does not. Otherwise the server adds the message to the stream as a new entry, which every group of the
    /// stream will see.
    ///
    /// The fields of a message never leave the server, whatever their size. Safe to repeat, and to run several times at
    /// once. Entries that are not dead letters stay as they are.
    ///
    /// - Parameters:
    ///   - deadLetters: The stream of dead letters; see ``DeadLetter``.
    ///   - count: The most dead letters to put back. Default: 100.
    /// - Returns: The ids of the messages that were put back, and the dead letters that could not be put back.
    /// - Throws: ``RedisError``. Messages that were put back before that stay put back.
    @discardableResult
    public func redrive(_ deadLetters: StreamKey, count: Int = 100) async throws(RedisError) -> RedriveResult {
        guard count > 0 else { throw RedisError(.invalidArgument, "count must be positive.") }
        var result = RedriveResult()
        var last = StreamID.zero
        let page = min(count, 100)
        while true {
            let origins = try await run(DeadLetter.page(of: deadLetters, after: last, count: page))
            let found = try DeadLetter.origins(in: origins, of: deadLetters)
            for (deadLetterEntry, origin) in found where result.ids.count < count {
                guard let call = origin?.redrive(deadLetterEntry, of: deadLetters) else { continue }
                let reply = try await run(call)
                if let id = reply.streamID {
                    result.ids.append(id)
                } else if !reply.isNull {
                    result.remaining.append(deadLetterEntry)
                }
            }
            guard result.ids.count < count, found.count == page, let id = found.last?.deadLetterEntry, id > last,
                id < .max
            else {
                return result
            }
            last = id
        }
    }
}

/// The message that a dead letter was made of.
private struct DeadLetterOrigin {
    let stream: StreamKey
    let group: String
    let id: StreamID

    /// The call of the script that puts the message back.
    func redrive(_ deadLetterEntry: StreamID, of deadLetters: StreamKey) -> ScriptCall {
        let arguments: [FieldValue] = [.text("\(deadLetterEntry)"), .text(group), .text("\(id)")]
        return ScriptCall(
            .redrive,
            keys: [deadLetters, stream],
            arguments: arguments + DeadLetter.Field.allCases.map { .text($0.rawValue) }
        )
    }
}

extension DeadLetter {
    fileprivate static func page(of deadLetters: StreamKey, after id: StreamID, count: Int) -> ScriptCall {
        let fields: [Field] = [.stream, .group, .id]
        return ScriptCall(
            .deadLetters,
            keys: [deadLetters],
            arguments: [.text("\(id)"), .integer(count)] + fields.map { .text($0.rawValue) }
        )
    }

    /// The ids of a page of dead letters, each with its origin; `nil` for an entry that is not a dead letter.
    fileprivate static func origins(
        in reply: RedisReply,
        of deadLetters: StreamKey
    ) throws(RedisError) -> [(deadLetterEntry: StreamID, origin: DeadLetterOrigin?)] {
        let call = page(of: deadLetters, after: .zero, count: 1)
        var origins: [(deadLetterEntry: StreamID, origin: DeadLetterOrigin?)] = []
        for element in try call.elements(reply) {
            let values = Array(try call.elements(element))
            guard let first = values.first else { throw call.unexpected(reply) }
            let deadLetterEntry = try call.streamID(first)
            guard values.count == 4, let stream = values[1].string, let group = values[2].string,
                let id = values[3].streamID, !stream.isEmpty, !group.isEmpty
            else {
                origins.append((deadLetterEntry, nil))
                continue
            }
            origins.append((deadLetterEntry, DeadLetterOrigin(stream: StreamKey(stream), group: group, id: id)))
        }
        return origins
    }
}
