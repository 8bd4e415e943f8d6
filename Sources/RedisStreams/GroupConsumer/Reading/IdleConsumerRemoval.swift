internal import Logging
internal import NIOCore

/// Removes the consumers that crashed processes have left in the group: generated names with no pending messages.
actor IdleConsumerRemoval: EventLoopActor {
    nonisolated let eventLoop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe eventLoop.executor.asUnownedSerialExecutor() }

    /// How long a name has to be idle at least, and how often the consumers of a group search for such names.
    private static let period = Duration.seconds(3600)

    private let consumer: GroupConsumer
    private let dispatcher: Dispatcher
    private let isOn: Bool
    private var timer: Scheduled<Void>?
    /// Whether the current claim scan has brought messages.
    private var hasClaimed = false

    private var route: any Route { consumer.route }

    init(_ consumer: GroupConsumer, _ dispatcher: Dispatcher) {
        eventLoop = dispatcher.pending.eventLoop
        self.consumer = consumer
        self.dispatcher = dispatcher
        isOn = consumer.configuration.safeguards.contains(.nameRemoval)
    }

    func begin() { removeLater(chance: consumer.client.randomness()) }

    func end() {
        timer?.cancel()
        timer = nil
    }

    /// A step of a claim scan has brought `count` messages. At the end of a scan that has brought some, this removes
    /// the names of consumers that have no pending messages left.
    func claimed(_ count: Int, isComplete: Bool) {
        if count > 0 { hasClaimed = true }
        guard isComplete, hasClaimed else { return }
        hasClaimed = false
        remove(idleFor: consumer.configuration.lease ?? Self.period)
    }

    /// Sets the timer of the next search. The consumers of a group together search once in an hour: `count`, how many
    /// of them the server saw within that time, determines how often each one does. The first search is within the
    /// hour, so that consumers with a short life take part.
    private func removeLater(among count: Int = 1, chance: Double) {
        guard isOn, !dispatcher.buffer.isStopping else { return }
        timer?.cancel()
        let time = TimeAmount(Self.period * Double(max(1, min(count, 10_000))) * chance)
        timer = eventLoop.scheduleTask(in: time) { self.assumeIsolated { $0.removeIdle() } }
    }

    private func removeIdle() {
        timer = nil
        removeLater(chance: 0.5 + consumer.client.randomness())
        remove(idleFor: max(Self.period, (consumer.configuration.lease ?? .zero) * 10)) { removal, count in
            removal.removeLater(among: count, chance: 0.5 + removal.consumer.client.randomness())
        }
    }

    /// Removes idle names. If it fails, another consumer removes them, or this one the next time.
    private func remove(
        idleFor time: Duration,
        then handle: @escaping @Sendable (isolated IdleConsumerRemoval, Int) -> Void = { _, _ in }
    ) {
        guard isOn, !dispatcher.buffer.isStopping else { return }
        guard let connection = route.readyShared() else { return route.prepareShared() }
        let call = ScriptCall.removingNames(
            of: consumer.group,
            in: consumer.stream,
            idleFor: time,
            prefix: ConsumerName.prefix,
            own: consumer.name
        )
        let observer = consumer.observer
        connection.enqueueScript(call) { result in
            do throws(RedisError) {
                let (names, count) = try call.removedNames(result.get())
                self.later { handle($0, count) }
                if !names.isEmpty { observer.report(.consumersRemoved(names: names)) }
            } catch {
                observer.log.logger.info(
                    "could not remove idle consumers from the group",
                    metadata: [LogKey.reason: "\(error.code)"]
                )
            }
        }
    }
}

extension ScriptCall {
    static func removingNames(
        of group: String,
        in stream: StreamKey,
        idleFor time: Duration,
        prefix: String = "",
        own: String = "",
        among names: [String] = []
    ) -> ScriptCall {
        let idle = FieldValue.integer(Int(time.wholeMilliseconds))
        // Only a consumer knows that messages returned under this name were claimed, so that it need not be idle.
        let always = own.isEmpty ? "" : ConsumerName.returned
        return ScriptCall(
            .removeNames,
            keys: [stream],
            arguments: [.text(group), .text(own), idle, .text(prefix), .text(always)] + names.map { .text($0) }
        )
    }

    /// The names that were removed, and how many consumers the server saw within the time.
    func removedNames(_ reply: RedisReply) throws(RedisError) -> ([String], Int) {
        let parts = Array(try elements(reply))
        guard parts.count == 2 else { throw unexpected(reply) }
        var names: [String] = []
        for element in try elements(parts[0]) { names.append(try string(element)) }
        return (names, try integer(parts[1]))
    }
}
