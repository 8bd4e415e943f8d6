extension StreamConsumer {
    /// Where reading begins.
    public indirect enum Start: Sendable, Hashable {
        /// With the first entry.
        case beginning
        /// With what is added after the consumer has begun to read. Found out once, on the first connection.
        case latest
        /// Behind an entry.
        case after(StreamID)
        /// With the first entry added at this time or later: the time since 1970, by the clock of the server.
        case time(Duration)
        /// Behind the last message that a reader of this name has handled; if there was none, where `else` says.
        ///
        /// The position is kept in Redis, in a hash at `{orders}:position:audit` for the stream `orders` and the name
        /// `audit`; for a key with a hash tag, such as `{eu}:orders`, at `{eu}:orders:position:audit`. It is written after
        /// messages were handled, which is when the loop asks for the next one: at intervals
        /// (``Configuration/positionInterval``), and once more when the loop ends. It never goes back, so that a reader left
        /// over from before does no harm, except by a discontinuity that was reported.
        ///
        /// At least once: what was handled and not written when a process died is read again. With `latest`, the place
        /// found out is kept at once. For one reader of a name at a time: of two, each sees all messages.
        case resume(_ name: String, else: Start = .beginning)

        /// The id to read behind; `nil` if the server has to be asked.
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
                throw RedisError(.invalidArgument, "Where to begin without a kept position cannot be another one.")
            }
        }
    }
}
