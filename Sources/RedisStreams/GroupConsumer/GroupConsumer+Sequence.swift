extension GroupConsumer: AsyncSequence {
    /// A message of the group.
    public typealias Element = GroupMessage
    /// Why consuming cannot go on.
    public typealias Failure = RedisError

    /// Begins to consume. Each iterator is a consumer of its own right: use one at a time for a name.
    public func makeAsyncIterator() -> Iterator {
        Iterator(start())
    }

    /// The messages as an `AsyncThrowingStream`.
    ///
    /// Consuming begins when this is called. The stream buffers nothing by itself: it asks the consumer for a message
    /// whenever it is asked for one, so that it is bounded as the consumer is, and acknowledges the message before.
    /// Iterating the consumer itself is the same, and faster, and better when its task is cancelled: a stream then ends
    /// before it asks for another message, so that the one handled last is not acknowledged.
    ///
    /// For one reader at a time: what one asks for acknowledges what the other was given.
    public var messages: AsyncThrowingStream<GroupMessage, any Error> {
        let reading = start()
        return AsyncThrowingStream { try await reading.next() }
    }

    /// Starts an engine among the tasks of the client.
    private func start() -> SequentialReader<DeliveredMessages> {
        let session = makeSession(concurrency: 1)
        observer.beginRun(session.snapshotIfAlive)
        let observer = observer
        do throws(RedisError) {
            try validate()
            let engine = GroupEngine(consumer: self, session: session, awaitsHandlers: false)
            client.background.start {
                await engine.run()
                observer.endRun()
            } otherwise: { error in
                session.buffer.fail(error)
                observer.endRun()
            }
        } catch {
            session.buffer.fail(error)
            observer.endRun()
        }
        let acknowledges = configuration.acknowledgement == .afterHandling
        let meter = LoopMeter()
        return SequentialReader(session.buffer) { message in
            let time = session.handOutTime(isMeasured: meter.isDue)
            if session.giveUpIfStale(message, at: time) { return false }
            meter.begin(at: time)
            return true
        } handled: { message in
            meter.end(session)
            if acknowledges { session.settle(message) }
        } finish: {
            session.finish()
        }
    }

    /// Hands out the messages of a ``GroupConsumer``, one after the other.
    ///
    /// As long as messages are there already, `next()` returns them without suspending, on whatever actor it is called.
    public struct Iterator: AsyncIteratorProtocol {
        private let reading: SequentialReader<DeliveredMessages>

        fileprivate init(_ reading: SequentialReader<DeliveredMessages>) {
            self.reading = reading
        }

        /// The next message; the one before counts as handled, and is acknowledged if the consumer does that by itself.
        ///
        /// A loop that is left by `break` or `throw` has not asked for the next message: the last one stays pending.
        ///
        /// - Returns: `nil` when the task is cancelled or a graceful shutdown has begun.
        /// - Throws: ``RedisError``, when consuming cannot go on.
        public mutating func next() async throws -> GroupMessage? {
            try await next(isolation: #isolation)
        }

        /// The next message; see ``next()``.
        public mutating func next(isolation actor: isolated (any Actor)?) async throws(RedisError) -> GroupMessage? {
            if let message = try reading.nextIfReady() { return message }
            return try await reading.waitForNext()
        }
    }
}
