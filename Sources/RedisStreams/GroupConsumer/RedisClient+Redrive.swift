extension RedisCommandExecutor {
    /// Puts dead letters back, the oldest first, so that they are handled again.
    ///
    /// Each goes back in one step with its removal from the stream of dead letters. If the entry it came of is still in its
    /// stream, it becomes pending again for its group alone, with all its attempts before it, and a consumer of the group
    /// claims it at its next look; one without leases (``GroupConsumer/Configuration/claimIdleTime`` of `nil`) does not. Else
    /// it is added to the stream as a new entry, which every group of the stream will see.
    ///
    /// Safe to repeat, and to run several times at once. Entries that are no dead letters are left alone.
    ///
    /// - Parameters:
    ///   - letters: The stream of dead letters; see ``DeadLetter``.
    ///   - count: The most dead letters to put back. Default: 100.
    /// - Returns: The ids that the messages have now, one for each that was put back.
    /// - Throws: ``RedisError``. What was put back before stays so.
    public func redrive(_ letters: StreamKey, count: Int = 100) async throws(RedisError) -> [StreamID] {
        var ids: [StreamID] = []
        var last: RangeBound = .unbounded
        repeat {
            let page = try await xrange(letters, from: last, count: count)
            for letter in page where ids.count < count {
                guard let call = DeadLetter.redrive(letter, of: letters) else { continue }
                let reply = try await run(call)
                if !reply.isNull { ids.append(try call.streamID(reply)) }
            }
            guard page.count == count, let id = page.last?.id else { break }
            last = .excluding(id)
        } while ids.count < count
        return ids
    }
}

extension DeadLetter {
    /// The step that puts a dead letter back; `nil` for an entry that is none.
    fileprivate static func redrive(_ letter: StreamMessage, of letters: StreamKey) -> ScriptCall? {
        let payload = payload(of: letter)
        guard let stream = letter[Field.stream.rawValue], let group = letter[Field.group.rawValue],
            let id = letter[Field.id.rawValue].flatMap({ StreamID($0) }), !payload.isEmpty
        else { return nil }
        return ScriptCall(
            .redrive,
            keys: [letters, StreamKey(stream)],
            arguments: [.text("\(letter.id)"), .text(group), .text("\(id)")] + payload
        )
    }

    /// The fields of the message that a dead letter is of, names and values in turn.
    fileprivate static func payload(of letter: StreamMessage) -> [FieldValue] {
        // Each once: the message may be a dead letter itself.
        var own = Set(Field.allCases.map(\.rawValue))
        return letter.fields.filter { own.remove($0.name) == nil }.flatMap {
            [.bytes($0.nameBytes), .bytes($0.valueBytes)]
        }
    }
}
