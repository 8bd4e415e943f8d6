extension StreamConsumer {
    /// Where a consumer starts to read a stream.
    public indirect enum Start: Sendable, Hashable {
        /// At the first entry.
        case beginning
        /// At the first entry that is added after the consumer has begun to read. The consumer finds that position
        /// once, on its first connection.
        case latest
        /// After an entry.
        case after(StreamID)
        /// At the first entry that was added at this time or later. The value is the time since 1970, by the clock of
        /// the server.
        case time(Duration)
        /// After the last message that a consumer with this position name has handled; if no position is saved, at
        /// `else`.
        ///
        /// The consumer saves the position in Redis, in a hash at `{orders}:position:audit` for the stream `orders` and
        /// the name `audit`; for a key with a hash tag, such as `{eu}:orders`, at `{eu}:orders:position:audit`. It
        /// saves after messages were handled, which is when the loop asks for the next one: at intervals
        /// (``Configuration/positionInterval``), and once more when the loop ends. The saved position never goes back,
        /// except after a discontinuity that was reported, so a consumer that is left over from an earlier process does
        /// no harm.
        ///
        /// Delivery is at least once: messages that were handled but not yet saved when a process crashed are read
        /// again. With `else: .latest`, the consumer saves the position as soon as it has found it. Only one consumer
        /// at a time should use a name: if two do, each receives all messages.
        case resume(_ name: String, else: Start = .beginning)

        /// The id after which reading starts; `nil` if the consumer has to ask the server.
        var position: StreamID? {
            switch self {
            case .beginning: return .zero
            case .latest, .resume: return nil
            case .after(let id): return id
            case .time(let time):
                return StreamID(milliseconds: UInt64(Swift.max(0, time.wholeMilliseconds))).previous ?? .zero
            }
        }

        func validate() throws(RedisError) {
            guard case .resume(let name, let start) = self else { return }
            if name.isEmpty { throw RedisError(.invalidArgument, "A position needs a name.") }
            if case .resume = start {
                throw RedisError(.invalidArgument, "The `else` of a `resume` cannot be another `resume`.")
            }
        }
    }
}
