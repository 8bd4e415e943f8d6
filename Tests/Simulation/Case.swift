import RedisStreams

/// A row of the report: a kind of run, and the kinds of faults that hit it.
enum Case: String, CaseIterable {
    case steady = "no faults"
    case slow = "slow handlers"
    case network = "network"
    case server = "server restarts, clock"
    case kills = "kills, pauses, cancels"
    case handOver = "hand-over"
    case retries = "retries, dead letters"
    case poison = "poison"
    case emit = "outputs"
    case loss = "lost groups and data"
    case everything = "everything"
    case producers = "producers"
    case fanOut = "fan-out"
    case commands = "commands, cancelled"

    /// The case of a seed.
    static func of(_ seed: UInt64) -> Case {
        allCases[Int(seed % UInt64(allCases.count))]
    }

    static let networkFaults: [Fault] = [.reset, .lostReply, .blackHole, .delay, .partition]

    /// Runs the case, and returns how long it took after the last fault until everything was handled.
    func run(in world: World, _ change: (inout GroupPlan) -> Void = { _ in }) throws -> VirtualTime {
        var plan = plan(&world.random)
        change(&plan)
        return switch self {
        case .producers: try ProducerScenario(world, plan).run()
        case .fanOut: try FanOutScenario(world, plan).run()
        case .commands: try CommandScenario(world, plan).run()
        default: try GroupScenario(world, plan).run()
        }
    }

    private func plan(_ random: inout SeededGenerator) -> GroupPlan {
        var plan = GroupPlan(&random)
        plan.faultCount = random.int(1...6)
        plan.hasGeneratedNames = random.oneIn(2)
        switch self {
        case .steady: plan.faultCount = 0
        case .slow:
            plan.faultCount = 0
            plan.slowOneIn = 10
        case .network, .fanOut, .commands: plan.faults = Self.networkFaults
        case .server: plan.faults = [.restart, .restart, .clockStep]
        case .kills:
            plan.faults = [.kill, .pause, .cancel]
            if random.oneIn(20) { waitForNames(&plan) }
        case .handOver:
            plan.faults = [.shutdown]
            plan.slowOneIn = random.pick([0, 10])
        case .retries: addFailures(&plan, &random)
        case .poison:
            plan.poisonEvery = random.int(6...30)
            plan.faults = [.pause, .reset]
            let maxCrashes = random.int(2...4)
            plan.configuration.deadLetter = DeadLetter("orders:dead", maxAttempts: 3, maxCrashes: maxCrashes)
            plan.faultCount = random.int(0...2)
            if random.oneIn(3) { plan.poisonCount = maxCrashes - 1 }
            if random.oneIn(20) { waitForNames(&plan) }
        case .emit:
            plan.emits = true
            plan.faults = Self.networkFaults + [.pause, .pause, .restart]
        case .loss: plan.faults = [.rollback, .wipe, .groupDestroyed, .groupDestroyed, .streamDeleted, .reset]
        case .producers: plan.faults = Self.networkFaults + [.restart]
        case .everything:
            plan.faults = Self.networkFaults + [.restart, .clockStep, .kill, .pause, .cancel, .shutdown]
            plan.faultCount = random.int(2...10)
            plan.emits = random.oneIn(3)
            if random.oneIn(2) { addFailures(&plan, &random) }
        }
        return plan
    }

    private func waitForNames(_ plan: inout GroupPlan) {
        plan.hasGeneratedNames = true
        plan.waitsForNames = true
        // Such a run waits for hours of virtual time: long intervals keep the number of steps small.
        plan.lease = max(plan.lease, .seconds(5))
        plan.configuration.claimIdleTime = plan.lease.duration
        plan.configuration.block = .seconds(5)
    }

    private func addFailures(_ plan: inout GroupPlan, _ random: inout SeededGenerator) {
        plan.failOneIn = random.int(2...10)
        plan.rejectOneIn = random.pick([0, 30])
        plan.configuration.retry = random.pick([
            .immediately, .fixed(.milliseconds(300)), .fixed(plan.lease.duration * 2),
            .exponential(from: .milliseconds(50), upTo: .seconds(5)),
        ])
        if random.oneIn(2) {
            plan.configuration.deadLetter = DeadLetter("orders:dead", maxAttempts: random.int(1...5))
        }
        if self == .retries {
            plan.faults = [.reset, .lostReply, .restart, .shutdown, .kill]
            plan.faultCount = random.int(0...4)
        }
    }
}
