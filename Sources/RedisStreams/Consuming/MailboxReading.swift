internal import ServiceLifecycle

/// The one reader of a mailbox that hands out messages in sequence. When it is gone, the mailbox stops.
final class MailboxReading<Batch: RandomAccessCollection & Sendable>: Sendable
where Batch.Index == Int, Batch.Element: Sendable {
    private let mailbox: Mailbox<Batch>
    /// Asked whether a message is still to be handed out.
    private let isWanted: @Sendable (Batch.Element) -> Bool
    /// Told that the message handed out before has been handled.
    private let handled: @Sendable (Batch.Element) -> Void
    /// Told that nobody reads any more.
    private let finish: @Sendable () -> Void
    /// Waits until what was handled is written down.
    private let written: @Sendable () async -> Void

    init(
        _ mailbox: Mailbox<Batch>,
        isWanted: @escaping @Sendable (Batch.Element) -> Bool = { _ in true },
        handled: @escaping @Sendable (Batch.Element) -> Void = { _ in },
        finish: @escaping @Sendable () -> Void = {},
        written: @escaping @Sendable () async -> Void = {}
    ) {
        self.mailbox = mailbox
        self.isWanted = isWanted
        self.handled = handled
        self.finish = finish
        self.written = written
    }

    deinit {
        // A message holds the session that it is of, and the session this mailbox.
        mailbox.withdraw()
        mailbox.stop()
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
                if let previous = mailbox.takeHanded() { handled(previous) }
                return nil
            }
            let (previous, next) = mailbox.advance()
            if let previous { handled(previous) }
            switch next {
            case .message(let message):
                if isWanted(message) { return message }
                mailbox.withdraw()
            case .failure(let error): throw error
            case .nothing, .end: return nil
            }
        }
    }

    /// Ends, with the message handed out before as not handled, and waits until what was handled is written down.
    func end() async {
        mailbox.withdraw()
        mailbox.stop()
        finish()
        await written()
    }

    func waitForNext() async throws(RedisError) -> Batch.Element? {
        do throws(RedisError) {
            while let message = try await waitForAny() {
                if isWanted(message) { return message }
                mailbox.withdraw()
            }
        } catch {
            await end()
            throw error
        }
        await end()
        return nil
    }

    private func waitForAny() async throws(RedisError) -> Batch.Element? {
        let mailbox = mailbox
        let result: Result<Batch.Element?, RedisError> = await withGracefulShutdownHandler {
            do throws(RedisError) { return .success(try await mailbox.nextInSequence()) } catch {
                return .failure(error)
            }
        } onGracefulShutdown: {
            mailbox.stop()
        }
        return try result.get()
    }
}
