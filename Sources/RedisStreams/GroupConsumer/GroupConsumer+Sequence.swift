extension GroupConsumer: AsyncSequence {
    /// A message of the group.
    public typealias Element = GroupMessage
    /// Why consuming cannot go on.
    public typealias Failure = RedisError

    /// Begins to consume. Each iterator is a consumer in its own right: use one at a time for a name.
    public func makeAsyncIterator() -> Iterator {
        Iterator(start())
    }

    /// The messages as an `AsyncThrowingStream`.
    ///
    /// Consuming begins when you get this property. The stream buffers nothing by itself: when you ask it for a
    /// message, it asks the consumer for one, which acknowledges the message before. So it is bounded as the consumer
    /// is. Iterating the consumer itself is the same, and faster, and better when the task is cancelled: a stream then
    /// ends before it asks for another message, so that the message handled last is not acknowledged.
    ///
    /// For one reader at a time: when one reader asks for a message, that acknowledges the message of the other.
    public var messages: AsyncThrowingStream<GroupMessage, any Error> {
        let reading = start()
        return AsyncThrowingStream { try await reading.next() }
    }

    /// Starts a partition in the background tasks of the client.
    private func start() -> SequentialReader<DeliveredMessages> {
        let dispatcher = makeDispatcher(concurrency: 1)
        observer.beginRun(dispatcher.snapshotIfAlive)
        let observer = observer
        do throws(RedisError) {
            try validate()
            let partition = Partition(self, dispatcher, awaitsHandlers: false)
            client.background.start {
                await partition.run()
                observer.endRun()
            } otherwise: { error in
                dispatcher.buffer.fail(error)
                observer.endRun()
            }
        } catch {
            dispatcher.buffer.fail(error)
            observer.endRun()
        }
        let acknowledges = configuration.acknowledgement == .afterHandling
        let meter = HandlingMeter()
        let pending = dispatcher.pending
        return SequentialReader(dispatcher.buffer) { message in
            let time = pending.handOutTime(isMeasured: meter.isDue)
            if pending.requeueIfStale(message, at: time) { return false }
            meter.begin(at: time)
            return true
        } handled: { message in
            meter.end(dispatcher)
            if acknowledges { pending.acknowledge(message) }
        } finish: {
            dispatcher.finish()
        }
    }

    /// Returns the messages of a ``GroupConsumer``, one after the other.
    ///
    /// As long as messages are buffered, `next()` returns them without suspending, on whatever actor you call it.
    public struct Iterator: AsyncIteratorProtocol {
        private let reading: SequentialReader<DeliveredMessages>

        fileprivate init(_ reading: SequentialReader<DeliveredMessages>) {
            self.reading = reading
        }

        /// The next message. The one before counts as handled; the consumer acknowledges it unless that is left to you.
        ///
        /// A loop that ends with `break` or `throw` has not asked for the next message: the last one stays pending.
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
