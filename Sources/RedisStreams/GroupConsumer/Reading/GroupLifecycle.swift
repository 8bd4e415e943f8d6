internal import NIOCore

/// The life of the group on the server: creates the group if it is missing, remembers up to which entry it has
/// acknowledged everything, and begins a new epoch when it is lost.
actor GroupLifecycle: EventLoopActor {
    nonisolated let eventLoop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe eventLoop.executor.asUnownedSerialExecutor() }

    private let consumer: GroupConsumer
    private let dispatcher: Dispatcher
    private var monitor = GroupMonitor()
    /// How many messages had been delivered at the last snapshot.
    private var observedDeliveries = -1
    /// The position at which this consumer may have created the group, by a command whose reply was lost.
    private var unconfirmedStart: StreamID?

    private var pending: PendingMessages { dispatcher.pending }
    private var configuration: GroupConsumer.Configuration { consumer.configuration }
    private var observer: ConsumerObserver { consumer.observer }

    init(_ consumer: GroupConsumer, _ dispatcher: Dispatcher) {
        eventLoop = dispatcher.pending.eventLoop
        self.consumer = consumer
        self.dispatcher = dispatcher
    }

    // MARK: Created and lost

    /// Creates the group, and the stream if it is missing. Returns the position of the group.
    func create(isLost: Bool, on connection: RedisConnection) async throws(RedisError) -> StreamID {
        let start = try await start(isLost: isLost, on: connection)
        let command = XGROUP.CREATE(consumer.stream, group: consumer.group, from: .id(start), createStream: true)
        do throws(RedisError) {
            try await connection.execute(command)
            unconfirmedStart = nil
            return start
        } catch {
            // This consumer may have created the group. All others find it and do not report that, so that this one
            // does.
            if error.code == .groupExists, let start = unconfirmedStart.take() {
                observer.report(.groupCreated(after: start, wasLost: isLost))
            }
            if error.mayHaveExecuted { unconfirmedStart = start }
            throw error
        }
    }

    func created(after start: StreamID, wasLost: Bool) {
        monitor.created(after: start)
        observer.report(.groupCreated(after: start, wasLost: wasLost))
    }

    /// The group is missing or was recreated, perhaps with its stream, so that an id may belong to another entry now.
    /// No message that was held and no outcome that was queued belongs to the new group, which delivers the entries
    /// again that still exist. Returns whether messages were held.
    func beginEpoch() -> Bool {
        let lost = pending.change { $0.beginEpoch() }
        dispatcher.cancelHandlers(of: lost)
        if !lost.isEmpty { observer.report(.leaseLost(ids: lost.map(\.id))) }
        return !lost.isEmpty
    }

    /// The position at which to create a missing group.
    private func start(isLost: Bool, on connection: RedisConnection) async throws(RedisError) -> StreamID {
        if !isLost {
            switch configuration.start {
            case .beginning: return .zero
            case .id(let id): return id
            case .latest: return try await lastGeneratedID(on: connection)
            }
        }
        let last = try await lastGeneratedID(on: connection)
        switch configuration.groupLoss {
        case .beginning: return .zero
        case .latest: return last
        case .fail:
            throw RedisError(
                .noGroup,
                "The group \(consumer.group) was lost, and the consumer does not create it again (groupLoss is .fail)."
            )
        case .resume:
            if !configuration.safeguards.contains(.watermark) { return last }
            guard let watermark = monitor.watermark else { return .zero }
            if watermark <= last { return watermark }
            // The stream ends before the watermark: it was deleted or recreated, or a server has lost entries.
            let kind: Discontinuity.Kind = last == .zero ? .missing : .regressed
            observer.report(
                .discontinuity(Discontinuity(kind, stream: consumer.stream, position: watermark, lastID: last))
            )
            return .zero
        }
    }

    /// The last id that the stream has generated; zero if there is no stream.
    private func lastGeneratedID(on connection: RedisConnection) async throws(RedisError) -> StreamID {
        let probe = try await StreamProbe.probe([consumer.stream], on: connection)[consumer.stream]
        guard case .there(let found) = probe else { return .zero }
        return found.lastID
    }

    // MARK: Snapshots

    /// Another server is the master: the next round takes a snapshot.
    func masterChanged() { observedDeliveries = -1 }

    /// Whether messages were delivered since the last snapshot.
    var hasNews: Bool { observer.counters.delivered != observedDeliveries }

    /// Takes a snapshot if anything may have changed.
    func observeIfNeeded() {
        let delivered = observer.counters.delivered
        let isHolding = pending.read({ $0.isHolding })
        guard delivered != observedDeliveries || isHolding else { return }
        guard let connection = consumer.route.readyShared() else { return consumer.route.prepareShared() }
        // Messages that are held now are acknowledged later: that needs another snapshot.
        observedDeliveries = isHolding ? -1 : delivered
        let call = consumer.call(.snapshot)
        connection.enqueueScript(call) { result in
            guard let reply = try? result.get() else { return }
            self.later { $0.observed(reply, to: call) }
        }
    }

    /// Takes a snapshot, and waits for it.
    func observe(on connection: RedisConnection) async {
        let delivered = observer.counters.delivered
        let call = consumer.call(.snapshot)
        guard let reply = try? await connection.run(call) else { return }
        observedDeliveries = delivered
        observed(reply, to: call)
    }

    private func observed(_ reply: RedisReply, to call: ScriptCall) {
        guard let snapshot = try? GroupSnapshot(reply, to: call), let trimmed = monitor.observe(snapshot) else {
            return
        }
        observer.report(.trimmedUnread(count: trimmed.count, after: trimmed.after, before: trimmed.before))
    }
}
