public import ServiceLifecycle

extension StreamConsumer {
    /// Returns a service that handles one message after the other. Add it to a `ServiceGroup` after the client.
    ///
    /// ```swift
    /// let audit = StreamConsumer(redis, stream: "orders", from: .resume("audit")).service { message in … }
    /// let services = ServiceGroup(services: [redis, audit], gracefulShutdownSignals: [.sigterm], logger: logger)
    /// ```
    ///
    /// On a graceful shutdown, the service lets the handler finish its message and handles no further one. With
    /// ``Start/resume(_:else:)`` the service ends when it has saved the position, or after two seconds without success.
    /// If the handler throws, the service ends and throws the same error, and the message does not count as handled.
    ///
    /// - Parameter handler: Handles a message. The message counts as handled when the closure returns.
    public func service(_ handler: @escaping @Sendable (StreamMessage) async throws -> Void) -> some Service {
        StreamService(consumer: self, handler: handler)
    }
}

private struct StreamService: Service {
    let consumer: StreamConsumer
    let handler: @Sendable (StreamMessage) async throws -> Void

    func run() async throws {
        let reading = consumer.start()
        do {
            while let message = try await reading.next() { try await handler(message) }
        } catch {
            await reading.end()
            throw error
        }
    }
}
