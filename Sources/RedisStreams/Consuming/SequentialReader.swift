internal import ServiceLifecycle

/// The one reader of a buffer that hands out messages in sequence. When it is gone, the buffer stops.
final class SequentialReader<Batch: RandomAccessCollection & Sendable>: Sendable
where Batch.Index == Int, Batch.Element: Sendable {
    private let buffer: MessageBuffer<Batch>
    /// Asked whether a message is still to be handed out.
    private let isWanted: @Sendable (Batch.Element) -> Bool
    /// Told that the message handed out before has been handled.
    private let handled: @Sendable (Batch.Element) -> Void
    /// Told that nobody reads any more.
    private let finish: @Sendable () -> Void
    /// Waits until what was handled is written down.
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
        // A message holds the session that it is of, and the session this buffer.
        buffer.withdraw()
        buffer.stop()
        finish()
    }

    func next() async throws(RedisError) -> Batch.Element? {
        do throws(RedisError) {
            if let message = try nextIfReady() { return message }
        } catch {
            await end()
            throw error
        }
        return try await waitForNext()
    }

    /// The next message if it is there. The one before it has been handled.
    func nextIfReady() throws(RedisError) -> Batch.Element? {
        while true {
            // Before one is taken out: what was not handed out is given back.
            if Task.isCancelled || Task.isShuttingDownGracefully {
                if let previous = buffer.takeLastDelivered() { handled(previous) }
                return nil
            }
            let (previous, next) = buffer.advance()
            if let previous { handled(previous) }
            switch next {
            case .message(let message):
                if isWanted(message) { return message }
                buffer.withdraw()
            case .failure(let error): throw error
            case .nothing, .end: return nil
            }
        }
    }

    /// Ends, with the message handed out before as not handled, and waits until what was handled is written down.
    func end() async {
        buffer.withdraw()
        buffer.stop()
        finish()
        await written()
    }

    func waitForNext() async throws(RedisError) -> Batch.Element? {
        do throws(RedisError) {
            while let message = try await waitForAny() {
                if isWanted(message) { return message }
                buffer.withdraw()
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
