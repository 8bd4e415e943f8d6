public import ServiceLifecycle

extension StreamConsumer {
    /// A service that handles one message after the other, to be added to a `ServiceGroup` behind the client.
    ///
    /// ```swift
    /// let audit = StreamConsumer(redis, stream: "orders", from: .resume("audit")).service { message in … }
    /// let services = ServiceGroup(services: [redis, audit], gracefulShutdownSignals: [.sigterm], logger: logger)
    /// ```
    ///
    /// A graceful shutdown lets the handler finish, which is then the last one. With ``Start/resume(_:else:)`` the service
    /// ends when the position is written, or could not be within two seconds. What a handler throws ends the service and is
    /// thrown by it: its message does not count as handled.
    ///
    /// - Parameter handler: Handles a message; it has been handled when this returns.
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
