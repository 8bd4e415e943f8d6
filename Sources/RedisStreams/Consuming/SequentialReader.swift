internal import ServiceLifecycle

/// Delivers the messages of a buffer in sequence. It is the only reader of that buffer; when it is deinitialized, the
/// buffer stops.
final class SequentialReader<Batch: RandomAccessCollection & Sendable>: Sendable
where Batch.Index == Int, Batch.Element: Sendable {
    private let buffer: MessageBuffer<Batch>
    /// Returns whether a message should still be delivered.
    private let isWanted: @Sendable (Batch.Element) -> Bool
    /// Called when the previously delivered message has been handled.
    private let handled: @Sendable (Batch.Element) -> Void
    /// Called when the reading has ended.
    private let finish: @Sendable () -> Void
    /// Waits until the position of the handled messages is saved.
    private let written: @Sendable () async -> Void

    init(
        _ buffer: MessageBuffer<Batch>,
        isWanted: @escaping @Sendable (Batch.Element) -> Bool = { _ in true },
        handled: @escaping @Sendable (Batch.Element) -> Void = { _ in },
        finish: @escaping @Sendable () -> Void = {},
        written: @escaping @Sendable () async -> Void = {}
    ) {
        self.buffer = buffer
        self.isWanted = isWanted
        self.handled = handled
        self.finish = finish
        self.written = written
    }

    deinit {
        // Nobody handles the last delivered message any more, and it keeps its batch in memory.
        buffer.discardLastDelivered()
        buffer.stop()
        finish()
    }

    /// Waits for the next message. Returns `nil` at the end.
    func next() async throws(RedisError) -> Batch.Element? {
        do throws(RedisError) {
            if let message = try nextIfReady() { return message }
        } catch {
            await end()
            throw error
        }
        return try await waitForNext()
    }

    /// Returns the next message if the buffer has one. The previously delivered message counts as handled.
    func nextIfReady() throws(RedisError) -> Batch.Element? {
        while true {
            // This check comes before a message leaves the buffer: a group consumer returns the messages that were not
            // delivered.
            if Task.isCancelled || Task.isShuttingDownGracefully {
                if let previous = buffer.takeLastDelivered() { handled(previous) }
                return nil
            }
            let (previous, next) = buffer.advance()
            if let previous { handled(previous) }
            switch next {
            case .message(let message):
                if isWanted(message) { return message }
                buffer.discardLastDelivered()
            case .failure(let error): throw error
            case .nothing, .end: return nil
            }
        }
    }

    /// Ends the reading, and waits until the position of the handled messages is saved. The last delivered message
    /// counts as not handled.
    func end() async {
        buffer.discardLastDelivered()
        buffer.stop()
        finish()
        await written()
    }

    /// Waits for the next message. Ends the reading if there is none.
    func waitForNext() async throws(RedisError) -> Batch.Element? {
        do throws(RedisError) {
            while let message = try await waitForAny() {
                if isWanted(message) { return message }
                buffer.discardLastDelivered()
            }
        } catch {
            await end()
            throw error
        }
        await end()
        return nil
    }

    private func waitForAny() async throws(RedisError) -> Batch.Element? {
        let buffer = buffer
        let result: Result<Batch.Element?, RedisError> = await withGracefulShutdownHandler {
            do throws(RedisError) { return .success(try await buffer.nextInSequence()) } catch {
                return .failure(error)
            }
        } onGracefulShutdown: {
            buffer.stop()
        }
        return try result.get()
    }
}
