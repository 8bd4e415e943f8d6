internal import NIOCore

/// Listens to one sentinel: it announces a failover by a message on the channel `+switch-master`.
///
/// It reads for itself, since a `RedisConnection` takes a message that nobody asked for as a fault. A message is only a hint:
/// it says nothing about the epoch, so the sentinels are asked.
actor SentinelWatcher {
    nonisolated let eventLoop: any EventLoop

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe eventLoop.executor.asUnownedSerialExecutor()
    }

    private let configuration: RedisConnection.Configuration
    private let master: String
    private let onSwitch: @Sendable () -> Void
    private var reader: RESPReader
    private var isSubscribed = false
    private var stream: (any ByteStream)?
    private var hasEnded = false
    private var waiter: CheckedContinuation<Void, Never>?

    /// - Parameter onSwitch: Called when the sentinel announces that the master of this name is another server.
    init(
        _ configuration: RedisConnection.Configuration,
        master: String,
        eventLoop: any EventLoop,
        onSwitch: @escaping @Sendable () -> Void
    ) {
        self.configuration = configuration
        self.master = master
        self.eventLoop = eventLoop
        self.onSwitch = onSwitch
        reader = RESPReader(limits: configuration.limits, secret: configuration.password)
    }

    /// Connects, and listens until the connection ends or the task is cancelled. Returns whether the sentinel has accepted
    /// the subscription.
    func run(on transport: any Transport) async -> Bool {
        guard let stream = try? await transport.connect(configuration, on: eventLoop, delegate: self) else {
            return false
        }
        self.stream = stream
        if !hasEnded, let bytes = subscription() { stream.write(bytes) } else { end() }
        await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                if hasEnded { waiter.resume() } else { self.waiter = waiter }
            }
        } onCancel: {
            eventLoop.execute { self.assumeIsolated { $0.end() } }
        }
        return isSubscribed
    }

    private func subscription() -> ByteBuffer? {
        var writer = CommandWriter()
        if let password = configuration.password {
            writer.write(AUTH(username: configuration.username, password: password.value))
        }
        writer.write(SUBSCRIBE(channel: "+switch-master"))
        guard writer.invalid == nil else { return nil }
        return writer.finish().0
    }

    private func read(_ bytes: ByteBuffer) {
        if hasEnded { return }
        var replies: [RedisReply] = []
        let result: Result<Void, RedisError> = unsafe bytes.withUnsafeReadableBytes { raw in
            Result { () throws(RedisError) in unsafe try reader.read(raw) { replies.append($0) } }
        }
        for reply in replies { received(reply) }
        if case .failure = result { end() }
    }

    private func received(_ reply: RedisReply) {
        // A refused login, or a missing right.
        if reply.kind == .error { return end() }
        guard let parts = reply.array, parts.count == 3, let kind = parts[offset: 0] else { return }
        if kind.isText("subscribe") { isSubscribed = true }
        // `<name> <old ip> <old port> <new ip> <new port>`
        guard kind.isText("message"), let text = parts[offset: 2]?.string else { return }
        if text.prefix(while: { $0 != " " }) == master { onSwitch() }
    }

    private func end() {
        if hasEnded { return }
        hasEnded = true
        stream?.close()
        waiter?.resume()
        waiter = nil
    }
}

extension SentinelWatcher: ByteStreamDelegate {
    package nonisolated func received(_ bytes: ByteBuffer) {
        assumeIsolated { $0.read(bytes) }
    }

    package nonisolated func ended(with error: RedisError?) {
        assumeIsolated { $0.end() }
    }
}
