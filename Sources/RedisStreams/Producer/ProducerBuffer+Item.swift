extension ProducerBuffer {
    /// A message, and who waits for its id.
    struct Item: Sendable {
        let command: XADD
        let receipt: Promise<StreamID>

        /// The id of the message, from the server's reply to it.
        func id(from reply: PendingReplies.Outcome) -> Result<StreamID, RedisError> {
            command.result(of: reply).flatMap { id in
                if let id { return .success(id) }
                return .failure(
                    RedisError(
                        .unexpectedReply,
                        "The server replied without the id of the message.",
                        command: XADD.name
                    )
                )
            }
        }
    }
}

extension [ProducerBuffer.Item] {
    /// Sends the messages in one write.
    func enqueue(on connection: RedisConnection) -> PendingReplies {
        connection.enqueue(count: count) { writer in
            for item in self { writer.write(item.command) }
        }
    }
}
