import RedisStreams

/// A run with something left out, or done wrong on purpose, in which the checker has to find an invariant violated: else it
/// would say nothing that it finds none elsewhere.
struct Control: Sendable {
    let invariant: Invariant
    /// What is done wrong.
    let name: String
    let shape: Case
    let change: @Sendable (inout GroupPlan) -> Void

    private init(
        _ invariant: Invariant,
        _ name: String,
        _ shape: Case,
        _ change: @escaping @Sendable (inout GroupPlan) -> Void
    ) {
        self.invariant = invariant
        self.name = name
        self.shape = shape
        self.change = change
    }

    /// Up to how many seeds it may take.
    static let patience: UInt64 = 300

    /// Runs seeds until the checker finds what it has to; returns the seed, or `nil`, and how many were run.
    func run(before: (UInt64) -> Void) -> (found: UInt64?, tried: Int) {
        let position = UInt64(Case.allCases.firstIndex(of: shape) ?? 0)
        let stride = UInt64(Case.allCases.count)
        var tried = 0
        for round in 1...Self.patience {
            let seed = round * stride + position
            before(seed)
            tried += 1
            let outcome = Runner.run(seed, change: change).outcome
            if outcome.violations.contains(where: { $0.hasPrefix(invariant.rawValue) }) { return (seed, tried) }
        }
        return (nil, tried)
    }

    static let all: [Control] = leases + losses + handlers + wires

    private static let leases = [
        Control(.oneOwner, "leases are not renewed", .slow) { $0.configuration.safeguards.remove(.renewal) },
        Control(.ownersSettle, "settlements do not look at the owner", .kills) {
            $0.configuration.safeguards.remove(.fencing)
            $0.faults = [.pause]
            $0.slowOneIn = 4
        },
        Control(.notTwiceInOne, "two consumers have one name", .slow) { $0.sabotage = .sameName },
        Control(.nothingWaits, "what waits for a handler is not given back", .slow) {
            $0.configuration.safeguards.remove(.giveBack)
            $0.configuration.prefetchTime = .seconds(2)
            $0.configuration.prefetch = 30
            $0.consumers = 3
            $0.concurrency = 1
            $0.slowOneIn = 4
        },
        Control(.quarantinedAlone, "deaths are not counted", .poison) {
            $0.concurrency = 4
            $0.sabotage = .forgetCrashes
            $0.faultCount = 0
        },
        Control(.everythingIsOwned, "nobody claims", .kills) {
            $0.faults = [.kill]
            $0.consumers = 3
            $0.configuration.claimInterval = .seconds(3600)
        },
        Control(.namesGo, "nobody removes names", .kills) {
            $0.faults = [.kill]
            $0.hasGeneratedNames = true
            $0.watchesNames = true
            $0.configuration.block = .seconds(5)
            $0.configuration.safeguards.remove(.nameRemoval)
        },
        Control(.innocentsStay, "each death is blamed on all that the process held", .poison) {
            $0.configuration.deadLetter = DeadLetter("orders:dead", maxAttempts: 3, maxCrashes: 3)
            $0.poisonCount = 1
            $0.faultCount = 0
            $0.concurrency = 8
            $0.sabotage = .blameAll
        },
        Control(.endsAreTold, "nobody hears of a lost group", .loss) {
            $0.faults = [.groupDestroyed]
            $0.sabotage = .silence
        },
        Control(.endsAreTold, "nobody hears of dead letters", .poison) { $0.sabotage = .silence },
    ]

    private static let losses = [
        Control(.acknowledgedIsProcessed, "acknowledged before they are handled", .kills) {
            $0.configuration.acknowledgement = .onDelivery
        },
        Control(.nothingLost, "the own pending list is not looked through", .network) {
            $0.configuration.claimIdleTime = nil
            $0.configuration.safeguards.remove(.recovery)
        },
        Control(.nothingLost, "a lost group goes on with what is new", .loss) {
            $0.configuration.groupLoss = .latest
            $0.faults = [.groupDestroyed]
        },
        Control(.endsClean, "acknowledgements are not sent again", .network) {
            $0.configuration.claimIdleTime = nil
            $0.configuration.safeguards.remove(.reacknowledge)
            $0.configuration.safeguards.remove(.recovery)
        },
        Control(.shutdownInTime, "nothing is handed back", .handOver) {
            $0.configuration.safeguards.remove(.handOver)
            $0.slowOneIn = 3
            $0.concurrency = 1
        },
    ]

    private static let handlers = [
        Control(.outputsOnce, "outputs are added by themselves", .emit) { $0.sabotage = .plainOutputs },
        Control(.attemptsCountFailures, "deliveries count as attempts", .retries) {
            $0.sabotage = .countDeliveries
            $0.faults = [.kill]
        },
    ]

    private static let wires = [
        Control(.repliesInOrder, "the server mixes up replies", .commands) { $0.sabotage = .swappedReplies },
        Control(.noWayBack, "a reader begins anew", .fanOut) { $0.sabotage = .restartedReader },
        Control(.nothingLost, "a server forgets what it confirmed", .producers) { $0.sabotage = .lostMessage },
        Control(.noLeak, "a connection is left open", .commands) { $0.sabotage = .leak },
        Control(.comesToRest, "somebody works without a rest", .commands) { $0.sabotage = .circles },
    ]
}
