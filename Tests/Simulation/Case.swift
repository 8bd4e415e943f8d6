/// A row of the table: a shape of runs, with faults of a kind.
enum Case: String, CaseIterable {
    case steady = "no faults"
    case slow = "slow handlers"
    case network = "network"
    case server = "server restarts, clock"
    case kills = "kills, pauses"
    case handOver = "hand-over"
    case everything = "everything"

    /// The case of a seed.
    static func of(_ seed: UInt64) -> Case {
        allCases[Int(seed % UInt64(allCases.count))]
    }

    func plan(_ random: inout SeededGenerator) -> GroupPlan {
        var plan = GroupPlan(&random)
        plan.faultCount = random.int(1...6)
        switch self {
        case .steady: plan.faultCount = 0
        case .slow:
            plan.faultCount = 0
            plan.slowOneIn = 10
        case .network: plan.faults = [.reset, .lostReply, .blackHole, .delay, .partition]
        case .server: plan.faults = [.restart, .restart, .clockStep]
        case .kills: plan.faults = [.kill, .pause, .cancel]
        case .handOver: plan.faults = [.shutdown]
        case .everything:
            plan.faults = [
                .reset, .lostReply, .blackHole, .delay, .partition, .restart, .clockStep, .kill, .pause, .cancel, .shutdown,
            ]
            plan.faultCount = random.int(2...10)
        }
        return plan
    }
}

extension Case {
    /// Runs the case, and returns how long it took after the last fault until everything was handled.
    func run(in world: World) throws -> VirtualTime {
        try GroupScenario(world, plan(&world.random)).run()
    }
}
