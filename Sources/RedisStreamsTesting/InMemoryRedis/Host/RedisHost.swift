package import NIOCore
internal import RedisStreams
internal import Synchronization

/// Runs a ``RedisModel`` with connections and clocks: bytes in, bytes out, and timers on an event loop.
package final class RedisHost: Sendable {
    struct State {
        var model: RedisModel
        var connections: [RedisModel.ConnectionID: HostedConnection] = [:]
        var faults: [Fault] = []
        /// How far the server's wall clock is ahead of the event loop's clock, in milliseconds.
        var wallOffset: Int
        var timer: (deadline: Int, task: Scheduled<Void>)?
        /// Why the server does not answer; `nil` while it does.
        var outage: Outage?
        /// What has arrived at a stopped server, in order.
        var arrivals: [Arrival] = []
        var recorder: Recorder?

        init(_ model: RedisModel, wallTime: Int, eventLoop: any EventLoop) {
            self.model = model
            wallOffset = wallTime - eventLoop.milliseconds
        }
    }

    /// Gets everything that changes the model, in order and with its time, so that a copy can do the same.
    typealias Recorder = @Sendable (Event, RedisModel.Time) -> Void

    enum Event: Sendable {
        case connected
        case executed([Bytes], RedisModel.ConnectionID)
        case closed(RedisModel.ConnectionID)
    }

    private let group: HostGroup
    /// The position of this host in its group.
    private let index: Int
    let eventLoop: any EventLoop

    /// Creates a server whose clock shows `wallTime` now, in milliseconds since 1970.
    package convenience init(
        version: InMemoryRedis.Version,
        password: String?,
        wallTime: Int,
        eventLoop: any EventLoop
    ) {
        let model = RedisModel(version: version)
        model.password = password.map { Bytes($0.utf8) }
        let state = State(model, wallTime: wallTime, eventLoop: eventLoop)
        self.init(HostGroup(HostGroup.Members(states: [state])), index: 0, eventLoop: eventLoop)
    }

    init(_ group: HostGroup, index: Int, eventLoop: any EventLoop) {
        self.group = group
        self.index = index
        self.eventLoop = eventLoop
    }

    private func withState<Result: Sendable>(_ body: @Sendable (inout State) -> Result) -> Result {
        group.members.withLock { body(&$0.states[index]) }
    }

    /// Continues with the data of another server, whose clients are gone. Its clock shows `wallTime` now.
    convenience init(continuing model: sending RedisModel, wallTime: Int, eventLoop: any EventLoop) {
        let state = State(model, wallTime: wallTime, eventLoop: eventLoop)
        self.init(HostGroup(HostGroup.Members(states: [state])), index: 0, eventLoop: eventLoop)
    }

    /// Has everything recorded from now on; `nil` ends that.
    func record(_ recorder: Recorder?) { withState { $0.recorder = recorder } }

    /// Makes the server a replica, or a master if `master` is `nil`. It closes all connections.
    func replicate(_ master: (host: String, port: Int)?) {
        withState { state in
            state.model.replicatedMaster = master
            for connection in state.connections.keys.sorted() { close(connection, &state) }
            finish(&state)
        }
    }

    /// So many replicas confirm each write from now on, and each that was added before.
    func setConfirmingReplicas(_ count: Int) {
        withState { state in
            state.model.setConfirmingReplicas(count)
            finish(&state)
        }
    }

    /// Sets the port that `INFO` reports.
    package func setPort(_ port: Int) { withState { $0.model.port = port } }

    // MARK: Connections

    /// Connects a client. `peer` gets the server's bytes, on the event loop.
    package func connect(_ peer: any RedisPeer) -> RedisModel.ConnectionID {
        withState { connect(peer, &$0) }
    }

    private func connect(_ peer: any RedisPeer, _ state: inout State) -> RedisModel.ConnectionID {
        let connection = state.model.connect(at: now(state))
        state.recorder?(.connected, now(state))
        state.connections[connection] = HostedConnection(peer: peer, version: state.model.version)
        return connection
    }

    /// A client has sent bytes.
    package func received(_ bytes: ByteBuffer, from connection: RedisModel.ConnectionID) {
        withState { state in
            if state.outage == .stopped { return state.arrivals.append(.bytes(bytes, connection)) }
            read(bytes, from: connection, &state)
            finish(&state)
        }
    }

    func read(_ bytes: ByteBuffer, from connection: RedisModel.ConnectionID, _ state: inout State) {
        guard let hosted = state.connections[connection] else { return }
        let (commands, failure) = hosted.read(bytes)
        for command in commands { accept(command, hosted, connection, &state) }
        if let failure, hosted.state == .open {
            perform(failure.action, hosted, connection, &state)
        }
    }

    /// The client has closed the connection.
    package func closed(_ connection: RedisModel.ConnectionID) {
        withState { state in
            if state.outage == .stopped {
                state.connections[connection]?.peerHasLeft = true
                return state.arrivals.append(.end(connection))
            }
            end(connection, &state)
        }
    }

    func end(_ connection: RedisModel.ConnectionID, _ state: inout State) {
        state.connections[connection] = nil
        state.model.disconnect(connection)
        state.recorder?(.closed(connection), now(state))
    }

    /// Connects a client, unless the server is down.
    func connectIfUp(_ peer: any RedisPeer) -> Connecting {
        withState { state in
            switch state.outage {
            case .killed: .refused
            case .isolated: .unanswered
            case .stopped, nil: .connected(connect(peer, &state))
            }
        }
    }

    // MARK: Control

    /// Moves the server's wall clock. The time that blocked commands wait does not follow it.
    package func stepClock(milliseconds: Int) {
        withState { state in
            state.wallOffset += milliseconds
            state.model.advance(to: now(state))
            finish(&state)
        }
    }

    package func restart(keepingData: Bool) {
        withState { state in
            state.model.restart(keepingData: keepingData, at: now(state))
            finish(&state)
        }
    }

    package func add(_ fault: Fault) {
        withState { $0.faults.append(fault) }
    }

    // MARK: - Commands

    func now(_ state: borrowing State) -> RedisModel.Time {
        let nanoseconds = eventLoop.now.uptimeNanoseconds
        let monotonic = Int(nanoseconds / 1_000_000)
        return RedisModel.Time(
            wall: monotonic + state.wallOffset,
            monotonic: monotonic,
            isRounded: nanoseconds % 1_000_000 != 0
        )
    }

    /// A command has arrived. The server executes it, unless a fault happens to it.
    private func accept(
        _ command: [Bytes],
        _ hosted: HostedConnection,
        _ connection: RedisModel.ConnectionID,
        _ state: inout State
    ) {
        guard hosted.state != .closed, hosted.state != .networkLost else { return }
        guard let kind = fault(for: command, &state) else {
            return perform(.execute(command), hosted, connection, &state)
        }
        switch kind {
        case .close: perform(.close, hosted, connection, &state)
        case .drop: perform(.loseNetwork, hosted, connection, &state)
        case .dropReply: perform(.executeAndLoseNetwork(command), hosted, connection, &state)
        case .closeAfterExecuting: perform(.executeAndClose(command), hosted, connection, &state)
        case .error(let text): perform(.refuse(command, text), hosted, connection, &state)
        case .delay(let duration):
            hosted.hold(.execute(command), until: eventLoop.milliseconds + duration.plausibleMilliseconds)
        }
    }

    private func fault(for command: [Bytes], _ state: inout State) -> Fault.Kind? {
        guard !state.faults.isEmpty else { return nil }
        var found: Fault.Kind?
        for fault in state.faults where fault.applies(to: command, isTaken: found != nil) {
            found = found ?? fault.kind
        }
        state.faults.removeAll(where: \.isSpent)
        return found
    }

    /// Performs an action, in the order in which the connection's commands arrived.
    private func perform(
        _ action: HostedConnection.Action,
        _ hosted: HostedConnection,
        _ connection: RedisModel.ConnectionID,
        _ state: inout State
    ) {
        if hosted.isHolding { return hosted.hold(action, until: nil) }
        performNow(action, hosted, connection, &state)
    }

    private func performNow(
        _ action: HostedConnection.Action,
        _ hosted: HostedConnection,
        _ connection: RedisModel.ConnectionID,
        _ state: inout State
    ) {
        switch action {
        case .execute(let command):
            state.model.execute(command, on: connection, at: now(state))
            state.recorder?(.executed(command, connection), now(state))
        case .refuse(let command, let text):
            state.model.refuse(command, with: text, on: connection, at: now(state))
        case .close: close(connection, &state)
        case .refuseAndClose(let text):
            state.model.refuse([], with: text, on: connection, at: now(state))
            close(connection, &state)
        case .loseNetwork: hosted.state = .networkLost
        case .executeAndLoseNetwork(let command):
            deliver(&state)
            hosted.state = .networkLost
            state.model.execute(command, on: connection, at: now(state))
        case .executeAndClose(let command):
            deliver(&state)
            hosted.state = .networkLost
            state.model.execute(command, on: connection, at: now(state))
            close(connection, &state)
        }
    }

    private func close(_ connection: RedisModel.ConnectionID, _ state: inout State) {
        deliver(&state)
        state.model.disconnect(connection)
        state.recorder?(.closed(connection), now(state))
        guard let hosted = state.connections.removeValue(forKey: connection) else { return }
        hosted.state = .closed
        let peer = hosted.peer
        eventLoop.execute { peer.ended() }
    }

    // MARK: Outputs and timers

    func finish(_ state: inout State) {
        deliver(&state)
        if state.outage == .stopped { return }
        let held = state.connections.values.compactMap(\.heldUntil).min()
        guard let deadline = [state.model.nextDeadline, held].compactMap({ $0 }).min() else { return }
        if let timer = state.timer, timer.deadline <= deadline { return }
        state.timer?.task.cancel()
        // If the timer fires before anything is due, it is set again.
        let century = Duration.seconds(100 * 365 * 86_400).plausibleMilliseconds
        let earliest = min(max(0, deadline), eventLoop.milliseconds + century)
        let task = eventLoop.scheduleTask(deadline: .uptimeNanoseconds(UInt64(earliest) * 1_000_000)) {
            self.timerFired()
        }
        state.timer = (deadline, task)
    }

    private func timerFired() {
        withState { state in
            state.timer = nil
            if state.outage == .stopped { return }
            state.model.advance(to: now(state))
            let due = state.connections.filter { $0.value.heldUntil.map { $0 <= eventLoop.milliseconds } ?? false }
            for (connection, hosted) in due.sorted(by: { $0.key < $1.key }) {
                for action in hosted.takeHeld() { performNow(action, hosted, connection, &state) }
            }
            finish(&state)
        }
    }

    /// Sends the model's outputs to the clients. The event loop keeps their order.
    private func deliver(_ state: inout State) {
        for output in state.model.takeOutputs() {
            guard let hosted = state.connections[output.connection] else { continue }
            let peer = hosted.peer
            if !output.bytes.isEmpty, hosted.state != .networkLost, !hosted.peerHasLeft {
                let bytes = ByteBuffer(bytes: output.bytes)
                eventLoop.execute { peer.received(bytes) }
            }
            if output.closes {
                state.connections[output.connection] = nil
                hosted.state = .closed
                eventLoop.execute { peer.ended() }
            }
        }
    }
}

extension EventLoop {
    /// The time of the event loop's clock, in whole milliseconds.
    fileprivate var milliseconds: Int { Int(now.uptimeNanoseconds / 1_000_000) }
}

extension Duration {
    /// The duration in whole milliseconds, limited to a century in either direction.
    var plausibleMilliseconds: Int {
        let century = Duration.seconds(100 * 365 * 86_400)
        return Int(min(max(self, .zero - century), century) / .milliseconds(1))
    }
}
