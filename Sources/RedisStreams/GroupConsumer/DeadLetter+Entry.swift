/// Why a message becomes a dead letter.
struct DeadLetterReason: Sendable, Hashable {
    var attempts: Int
    /// The type of the error.
    var error: String
    /// The reason in words, for the log and the dead letter entry.
    var text: String
}

extension DeadLetter {
    /// The publication that dead-letters a message; without its fields if there are more than a script can add.
    func publication(of message: StreamMessage, group: String, reason: DeadLetterReason) -> Publication {
        let isOmitted = message.fields.count + Field.allCases.count > Publication.Output.maxFields
        let payload = message.fields.flatMap { [FieldValue.bytes($0.nameBytes), .bytes($0.valueBytes)] }
        return publication(of: message.id, in: message.stream, group, reason, payload: isOmitted ? nil : payload)
    }

    /// Whether the message came from this stream as a dead letter. An entry that was dead-lettered several times names
    /// each stream that it came from.
    func isOrigin(of message: StreamMessage) -> Bool {
        message.fields.contains { $0.name == Field.stream.rawValue && $0.value == stream.rawValue }
    }

    /// The publication that dead-letters an entry whose body cannot be read.
    func publication(
        ofUnreadable id: StreamID,
        in origin: StreamKey,
        group: String,
        reason: DeadLetterReason
    ) -> Publication {
        publication(of: id, in: origin, group, reason, payload: nil)
    }

    private func publication(
        of id: StreamID,
        in origin: StreamKey,
        _ group: String,
        _ reason: DeadLetterReason,
        payload: [FieldValue]?
    ) -> Publication {
        let own = fields(of: id, in: origin, group: group, reason: reason, omitsPayload: payload == nil)
        let output = Publication.Output(stream: stream, maxLength: maxLength, fields: own + (payload ?? []))
        return Publication(id: id, outputs: [output], deadLetterReason: reason)
    }

    /// The fields of a dead letter entry that describe the message, as arguments of `XADD`.
    private func fields(
        of id: StreamID,
        in origin: StreamKey,
        group: String,
        reason: DeadLetterReason,
        omitsPayload: Bool
    ) -> [FieldValue] {
        var own: [(Field, FieldValue)] = [
            (.stream, .text(origin.rawValue)), (.group, .text(group)), (.id, .text("\(id)")),
            (.attempts, .integer(reason.attempts)), (.error, .text(reason.error)),
            (.reason, .text(reason.text)), (.time, .integer(Host.millisecondsSince1970)),
        ]
        if omitsPayload { own.append((.payload, .text("omitted"))) }
        return own.flatMap { [.text($0.rawValue), $1] }
    }
}
