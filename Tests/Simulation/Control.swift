import RedisStreams

/// A run with one safeguard turned off, or with a deliberate mistake, in which the checker has to find a violated
/// invariant. A checker that misses it would prove nothing by finding no violation elsewhere.
struct Control: Sendable {
    let invariant: Invariant
    /// What goes wrong in the run.
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

    /// How many seeds a control may try.
    static let maxSeeds: UInt64 = 300

    /// Runs seeds until the checker finds the violation. Returns the seed, or `nil`, and how many seeds ran.
    func run(before: (UInt64) -> Void) -> (found: UInt64?, tried: Int) {
        let position = UInt64(Case.allCases.firstIndex(of: shape) ?? 0)
        let stride = UInt64(Case.allCases.count)
        var tried = 0
        for round in 1...Self.maxSeeds {
            let seed = round * stride + position
            before(seed)
            tried += 1
            let outcome = Runner.run(seed, change: change).outcome
            if outcome.violations.contains(where: { $0.hasPrefix(invariant.rawValue) }) { return (seed, tried) }
        }
        return (nil, tried)
    }

    static let all: [Control] = leases + losses + handlers + clients

    private static let leases = [
        Control(.oneOwner, "leases are not renewed", .slow) { $0.configuration.safeguards.remove(.renewal) },
        Control(.ownersSettle, "settlements do not check the owner", .kills) {
            $0.configuration.safeguards.remove(.fencing)
            $0.faults = [.pause]
            $0.slowOneIn = 4
        },
        Control(.notTwiceAtOnce, "two consumers have the same name", .slow) { $0.sabotage = .sameName },
        Control(.nothingWaits, "messages that wait for a handler are not returned to the group", .slow) {
            $0.configuration.safeguards.remove(.returnOverdue)
            $0.configuration.prefetchTime = .seconds(2)
            $0.configuration.prefetch = 30
            $0.consumers = 3
            $0.concurrency = 1
            $0.slowOneIn = 4
        },
        Control(.quarantinedAlone, "crashes are not counted", .poison) {
            $0.concurrency = 4
            $0.sabotage = .forgetCrashes
            $0.faultCount = 0
        },
        Control(.everythingIsOwned, "no consumer claims", .kills) {
            $0.faults = [.kill]
            $0.consumers = 3
            $0.configuration.claimInterval = .seconds(3600)
        },
        Control(.deadNamesAreRemoved, "no consumer removes names of dead ones", .kills) {
            $0.faults = [.kill]
            $0.hasGeneratedNames = true
            $0.waitsForNames = true
            $0.configuration.block = .seconds(5)
            $0.configuration.safeguards.remove(.nameRemoval)
        },
        Control(.innocentsStay, "a crash counts against all messages that the process held", .poison) {
            $0.configuration.deadLetter = DeadLetter("orders:dead", maxAttempts: 3, maxCrashes: 3)
            $0.poisonCount = 1
            $0.faultCount = 0
            $0.concurrency = 8
            $0.sabotage = .blameAll
        },
        Control(.abnormalEndsAreReported, "a lost group is not reported", .loss) {
            $0.faults = [.groupDestroyed]
            $0.sabotage = .silence
        },
        Control(.abnormalEndsAreReported, "dead letters are not reported", .poison) { $0.sabotage = .silence },
    ]

    private static let losses = [
        Control(.acknowledgedIsHandled, "messages are acknowledged before they are handled", .kills) {
            $0.configuration.acknowledgement = .onDelivery
        },
        Control(.nothingLost, "consumers do not recover their own pending list", .network) {
            $0.configuration.claimIdleTime = nil
            $0.configuration.safeguards.remove(.recovery)
        },
        Control(.nothingLost, "a lost group is recreated at the end of the stream", .loss) {
            $0.configuration.groupLoss = .latest
            $0.faults = [.groupDestroyed]
        },
        Control(.endsClean, "lost acknowledgements are not sent again", .network) {
            $0.configuration.claimIdleTime = nil
            $0.configuration.safeguards.remove(.reacknowledge)
            $0.configuration.safeguards.remove(.recovery)
        },
        Control(.shutdownInTime, "a consumer that ends returns nothing to the group", .handOver) {
            $0.configuration.safeguards.remove(.handOver)
            $0.slowOneIn = 3
            $0.concurrency = 1
        },
    ]

    private static let handlers = [
        Control(.outputsOnce, "outputs are added without the acknowledgement", .emit) { $0.sabotage = .plainOutputs },
        Control(.attemptsCountFailures, "deliveries count as attempts", .retries) {
            $0.sabotage = .countDeliveries
            $0.faults = [.kill]
        },
    ]

    private static let clients = [
        Control(.repliesInOrder, "the server swaps replies", .commands) { $0.sabotage = .swappedReplies },
        Control(.neverGoesBack, "a reader starts over at the beginning", .fanOut) { $0.sabotage = .restartedReader },
        Control(.nothingLost, "the server loses a confirmed entry", .producers) { $0.sabotage = .lostMessage },
        Control(.noLeak, "a connection is left open", .commands) { $0.sabotage = .leak },
        Control(.noBusyLoop, "a task never waits", .commands) { $0.sabotage = .busyLoop },
    ]
}
