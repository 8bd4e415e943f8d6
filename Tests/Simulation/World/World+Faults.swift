/// How a fault is carried out. Each notes itself when it has done something.
extension World {
    /// Plans `count` faults of these kinds at times that the seed draws.
    ///
    /// - Parameter victims: Those who can be killed, stopped and cut off.
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
            // A number of steps behind a time: so every await is the place of a fault sooner or later.
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
            trace.note("fault", "\(fault)")
            noteFault(fault, at: nil)
            setting.destroy(fault)
        }
    }

    private func breakConnection(_ fault: Fault) {
        let connections = network.connections.filter { $0.isOpenAtClient && !$0.isBlackHole && $0.node.isAlive }
        guard !connections.isEmpty else { return }
        let connection = random.pick(connections)
        trace.note("fault", "\(fault) of \(connection.node.name)#\(connection.number)")
        switch fault {
        case .lostReply:
            // Fires when there is a reply.
            connection.breaksBeforeReply = random.int(0...2)
        case .blackHole:
            connection.becomeBlackHole(serverNoticesAfter: random.duration(milliseconds: 1000...60_000))
            // The client needs the deadline of a command to notice.
            noteFault(fault, at: connection.node, until: now + .seconds(10))
        default:
            connection.reset()
            noteFault(fault, at: connection.node)
        }
    }

    private func hinder(_ fault: Fault, lease: VirtualTime, _ setting: FaultSetting) {
        let victims = nodes.filter { $0.isAlive && !$0.hasEnded }
        guard !victims.isEmpty else { return }
        let node = random.pick(victims)
        let time = random.duration(milliseconds: 20...max(40, lease.milliseconds * 2))
        trace.note("fault", "\(fault) of \(node.name) for \(time) ms")
        noteFault(fault, at: node, until: now + time)
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
        trace.note("fault", "\(fault) of the server, down for \(time) ms")
        noteFault(fault, at: nil, until: now + time)
        network.isServerUp = false
        network.resetAll()
        switch fault {
        case .rollback: setting.destroy(.rollback)
        case .wipe: setting.destroy(.wipe)
        default: server.restart()
        }
        scheduler.after(time) { [self] in
            network.isServerUp = true
            trace.note("server", "is up")
        }
    }

    private func stepClock() {
        let size = random.duration(milliseconds: 500...3_600_000)
        let isForward = random.oneIn(2)
        trace.note("fault", "the server's clock goes \(isForward ? "forward" : "back") by \(size) ms")
        server.clockOffset = isForward ? server.clockOffset + size : server.clockOffset - size
        checker.ownersAreKnown = false
        noteFault(.clockStep, at: nil)
    }

    private func strike(_ fault: Fault, lease: VirtualTime, _ setting: FaultSetting) {
        let victims = setting.victims().filter { $0.isAlive && !$0.isEnding }
        guard !victims.isEmpty else { return }
        let node = random.pick(victims)
        trace.note("fault", "\(fault) of \(node.name)")
        switch fault {
        case .pause:
            let time = VirtualTime(milliseconds: lease.milliseconds * (1.1 + 2 * random.fraction()))
            noteFault(fault, at: node, until: now + time)
            node.process.stop()
            scheduler.after(time) { [trace] in
                trace.note(node.name, "goes on")
                node.process.goOn()
            }
        case .kill:
            noteFault(fault, at: nil)
            kill(node)
            setting.replace(node, fault)
        case .cancel:
            noteFault(fault, at: nil)
            node.isEnding = true
            node.task?.cancel()
            setting.replace(node, fault)
        default:
            noteFault(fault, at: nil)
            node.shutDown()
            setting.replace(node, fault)
        }
    }

    /// No more faults; what is broken is mended.
    func calmDown() {
        isCalm = true
        trace.note("harness", "no more faults from here on")
        for node in nodes {
            node.process.goOn()
            node.delayUntil = .zero
            if node.isPartitioned { setPartitioned(node, false) }
        }
        for connection in network.connections { connection.breaksBeforeReply = nil }
        // Else messages of the dead would be claimed only once the clock has caught up, which takes up to two hours.
        server.clockOffset = server.highestOffset
        network.isServerUp = true
        noteCalm()
    }
}

/// What a scenario does when it is struck.
struct FaultSetting {
    /// Who can be killed, stopped, cancelled and shut down.
    var victims: () -> [Node] = { [] }
    /// Somebody is ending through a fault; another may take the place.
    var replace: (Node, Fault) -> Void = { _, _ in }
    /// Data is to be destroyed: `rollback`, `wipe`, `groupDestroyed`, `streamDeleted`.
    var destroy: (Fault) -> Void = { _ in }
}
