/// Injects faults. Each fault is counted when it has an effect.
extension World {
    /// Plans `count` faults of these kinds at times that the seed draws.
    ///
    /// - Parameter setting: How the scenario reacts to them.
    func plan(
        _ faults: [Fault],
        count: Int,
        within time: VirtualTime,
        lease: VirtualTime,
        setting: FaultSetting = FaultSetting()
    ) {
        guard !faults.isEmpty else { return }
        for _ in 0..<count {
            let fault = random.pick(faults)
            let delay = VirtualTime(nanoseconds: Int64(Double(time.nanoseconds) * random.fraction()))
            // Some steps after a time, so that sooner or later a fault hits every `await`.
            let steps = random.int(0...200)
            scheduler.after(delay) { [self] in
                scheduler.afterSteps(steps) { [self] in
                    if !isCalm { inject(fault, lease: lease, setting) }
                }
            }
        }
    }

    private func inject(_ fault: Fault, lease: VirtualTime, _ setting: FaultSetting) {
        switch fault {
        case .reset, .lostReply, .blackHole: breakConnection(fault)
        case .delay, .partition: hinder(fault, lease: lease, setting)
        case .restart, .rollback, .wipe: restartServer(fault, setting)
        case .clockStep: stepClock()
        case .kill, .pause, .cancel, .shutdown: strike(fault, lease: lease, setting)
        case .groupDestroyed, .streamDeleted:
            trace.record("fault", "\(fault)")
            countFault(fault, at: nil)
            setting.destroy(fault)
        }
    }

    private func breakConnection(_ fault: Fault) {
        let connections = network.connections.filter { $0.isOpenAtClient && !$0.isBlackHole && $0.node.isAlive }
        guard !connections.isEmpty else { return }
        let connection = random.pick(connections)
        trace.record("fault", "\(fault) of \(connection.node.name)#\(connection.number)")
        switch fault {
        case .lostReply:
            // Counts when the server sends a reply.
            connection.breaksBeforeReply = random.int(0...2)
        case .blackHole:
            connection.becomeBlackHole(serverNoticesAfter: random.duration(milliseconds: 1000...60_000))
            // The client notices only by the timeout of a command.
            countFault(fault, at: connection.node, until: now + .seconds(10))
        default:
            connection.reset()
            countFault(fault, at: connection.node)
        }
    }

    private func hinder(_ fault: Fault, lease: VirtualTime, _ setting: FaultSetting) {
        let victims = nodes.filter { $0.isAlive && !$0.hasEnded }
        guard !victims.isEmpty else { return }
        let node = random.pick(victims)
        let time = random.duration(milliseconds: 20...max(40, lease.milliseconds * 2))
        trace.record("fault", "\(fault) of \(node.name) for \(time) ms")
        countFault(fault, at: node, until: now + time)
        if fault == .delay {
            node.delayUntil = max(node.delayUntil, now + time)
            return
        }
        setPartitioned(node, true)
        scheduler.after(time) { [self] in setPartitioned(node, false) }
    }

    func setPartitioned(_ node: Node, _ isPartitioned: Bool) {
        node.isPartitioned = isPartitioned
        for connection in network.connections(of: node) where !connection.isBlackHole {
            connection.isHeld = isPartitioned
        }
    }

    private func restartServer(_ fault: Fault, _ setting: FaultSetting) {
        guard network.isServerUp else { return }
        let time = random.duration(milliseconds: 1...3000)
        trace.record("fault", "\(fault) of the server, down for \(time) ms")
        countFault(fault, at: nil, until: now + time)
        network.isServerUp = false
        network.resetAll()
        switch fault {
        case .rollback: setting.destroy(.rollback)
        case .wipe: setting.destroy(.wipe)
        default: server.restart()
        }
        scheduler.after(time) { [self] in
            network.isServerUp = true
            trace.record("server", "is up")
        }
    }

    private func stepClock() {
        let size = random.duration(milliseconds: 500...3_600_000)
        let isForward = random.oneIn(2)
        trace.record("fault", "the server's clock goes \(isForward ? "forward" : "back") by \(size) ms")
        server.clockOffset = isForward ? server.clockOffset + size : server.clockOffset - size
        checker.ownersAreKnown = false
        countFault(.clockStep, at: nil)
    }

    private func strike(_ fault: Fault, lease: VirtualTime, _ setting: FaultSetting) {
        let victims = setting.victims().filter { $0.isAlive && !$0.isEnding }
        guard !victims.isEmpty else { return }
        let node = random.pick(victims)
        trace.record("fault", "\(fault) of \(node.name)")
        switch fault {
        case .pause:
            let time = VirtualTime(milliseconds: lease.milliseconds * (1.1 + 2 * random.fraction()))
            countFault(fault, at: node, until: now + time)
            node.process.stop()
            scheduler.after(time) { [trace] in
                trace.record(node.name, "resumes")
                node.process.resume()
            }
        case .kill:
            countFault(fault, at: nil)
            kill(node)
            setting.replace(node, fault)
        case .cancel:
            countFault(fault, at: nil)
            node.isEnding = true
            node.task?.cancel()
            setting.replace(node, fault)
        default:
            countFault(fault, at: nil)
            node.shutDown()
            setting.replace(node, fault)
        }
    }

    /// Ends all faults, and repairs what they have broken.
    func calmDown() {
        isCalm = true
        trace.record("harness", "no more faults from here on")
        for node in nodes {
            node.process.resume()
            node.delayUntil = .zero
            if node.isPartitioned { setPartitioned(node, false) }
        }
        for connection in network.connections { connection.breaksBeforeReply = nil }
        // Otherwise the messages of dead consumers could be claimed only once the clock has caught up, which takes up
        // to two hours.
        server.clockOffset = server.highestOffset
        network.isServerUp = true
        recordCalm()
    }
}

/// How a scenario reacts to faults.
struct FaultSetting {
    /// Who can be killed, stopped, cancelled and shut down.
    var victims: () -> [Node] = { [] }
    /// A fault ends a node; the scenario may start another one.
    var replace: (Node, Fault) -> Void = { _, _ in }
    /// The scenario destroys data: `rollback`, `wipe`, `groupDestroyed`, `streamDeleted`.
    var destroy: (Fault) -> Void = { _ in }
}
