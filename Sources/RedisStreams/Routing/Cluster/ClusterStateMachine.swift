internal import NIOCore

/// Decides which node of a cluster serves a slot, and when to ask which nodes for the map. Free of sockets, clocks and locks:
/// `Cluster` performs what it says.
///
/// The states and their successors:
///
/// | state | what it means | entered by | successors |
/// |---|---|---|---|
/// | `idle` | The map is as good as it gets. | `init`, `loaded` | `due` |
/// | `due` | A new map is needed, at a time that spares the cluster. | `needsMap`, `loaded` (the periodic one), `failed` | `asking` |
/// | `asking` | The owner asks nodes for the map. One question is asked at a time. | `begin` | `due` |
struct ClusterStateMachine: ~Copyable {
    private enum State {
        case idle
        case due(NIODeadline)
        /// `again` says that a reason for another map has come since.
        case asking(since: NIODeadline, again: Bool)
    }

    /// A slot that a node said has moved.
    private struct Patch {
        let address: ServerAddress
        let time: NIODeadline
    }

    /// How long a map is good without a reason for a new one.
    private static let lifetime = TimeAmount.seconds(60)
    /// The most random delay of a question, so that the clients of a cluster do not ask at once.
    private static let jitter = TimeAmount.milliseconds(100)
    /// The most masters that are asked for one map, and the most replicas. Seeds are asked in any case.
    private static let maxAsked = 8

    private let seeds: [ServerAddress]
    private var state = State.idle
    private(set) var map = SlotMap()
    /// Slots that moved since the last question was asked.
    private var patches: [Int: Patch] = [:]
    /// The target of the last `MOVED`: its map is the newest.
    private var lastTarget: ServerAddress?
    private var lastAnswer: NIODeadline?
    /// When the last question was asked that has been answered, or that no node has answered.
    private var lastQuestion: NIODeadline?
    private var failures = 0
    private(set) var lastFailure: RedisError?
    private var warnings = WarningPace()
    /// Whether the owner has been warned since a node last answered.
    private var hasWarned = false
    /// The nodes that the last map did not name, which are given up if the next one does not name them either.
    private var unnamed: Set<ServerAddress> = []

    init(seeds: [ServerAddress]) {
        self.seeds = seeds
    }

    /// The node that serves a slot; `nil` if none is known.
    func owner(of slot: Int) -> ServerAddress? { map[slot] }

    /// A node that can execute commands without keys.
    ///
    /// - Parameter random: A random number from 0 to 1: another attempt may get another node.
    func anyMaster(random: Double) -> ServerAddress? {
        if map.isEmpty { return nil }
        return map.masters[min(map.masters.count - 1, Int(random * Double(map.masters.count)))]
    }

    /// Whether a node that refused a connection at `time` serves the slot all the same; `nil` if only a map can tell that is
    /// asked for later. Without a slot: whether it is a master.
    func serves(_ slot: Int?, _ address: ServerAddress, since time: NIODeadline) -> Bool? {
        guard slot.map({ map[$0] == address }) ?? map.masters.contains(address) else { return false }
        guard let lastQuestion, lastQuestion >= time else { return nil }
        // If all nodes refuse for good, no map will come.
        return lastFailure?.isRetriable == true ? nil : true
    }

    // MARK: Reasons for a new map

    /// A node has sent a command on to another node, for good.
    mutating func moved(_ slot: Int, to address: ServerAddress, now: NIODeadline, jitter: Double) {
        guard map[slot] != address else { return }
        map.move(slot, to: address)
        patches[slot] = Patch(address: address, time: now)
        lastTarget = address
        needsMap(now: now, jitter: jitter)
    }

    /// No node serves a slot, or a node was lost.
    mutating func needsMap(now: NIODeadline, jitter: Double) {
        let time: NIODeadline
        switch state {
        case .asking(let since, _):
            state = .asking(since: since, again: true)
            return
        case .due where failures > 0:
            // The delay after a failure is not cut short.
            return
        case .idle, .due:
            // The first map is not delayed.
            guard let lastAnswer else { return due(at: now) }
            let random = TimeAmount.nanoseconds(Int64(Double(Self.jitter.nanoseconds) * jitter))
            time = max(now, lastAnswer + interval) + random
        }
        due(at: time)
    }

    private mutating func due(at time: NIODeadline) {
        if case .due(let earlier) = state, earlier <= time { return }
        state = .due(time)
    }

    /// The time between two questions: a second, and more for clusters of more than a hundred nodes, whose maps are long.
    private var interval: TimeAmount {
        .milliseconds(min(30_000, max(1000, Int64(map.masters.count) * 10)))
    }

    // MARK: Asking

    /// When to ask; `nil` if there is no reason, or while nodes are being asked.
    var nextQuestion: NIODeadline? {
        if case .due(let time) = state { time } else { nil }
    }

    /// The owner asks now. Returns the nodes to ask, the best ones first.
    ///
    /// - Parameter shuffle: Returns nodes in random order.
    mutating func begin(now: NIODeadline, shuffle: ([ServerAddress]) -> [ServerAddress]) -> [ServerAddress] {
        state = .asking(since: now, again: false)
        var asked: [ServerAddress] = []
        let masters = shuffle(map.masters).prefix(Self.maxAsked)
        let replicas = shuffle(map.replicas).prefix(Self.maxAsked)
        for address in (lastTarget.map { [$0] } ?? []) + masters + shuffle(seeds) + replicas
        where !asked.contains(address) {
            asked.append(address)
        }
        lastTarget = nil
        return asked
    }

    /// A node has answered. Returns the nodes to give up: neither of the last two maps says that they serve a slot.
    ///
    /// - Parameter nodes: All nodes that the owner has connections to.
    mutating func loaded(
        _ ranges: [CLUSTER.SlotRange],
        from address: ServerAddress,
        nodes: Set<ServerAddress> = [],
        now: NIODeadline,
        jitter: Double
    ) -> Set<ServerAddress> {
        guard case .asking(let since, let again) = state else { return [] }
        map = SlotMap(ranges, from: address)
        // What a node said after the question was asked is newer than the answer.
        patches = patches.filter { $0.value.time >= since }
        for (slot, patch) in patches { map.move(slot, to: patch.address) }
        let before = unnamed
        unnamed = nodes.subtracting(map.masters)
        failures = 0
        lastFailure = nil
        lastQuestion = since
        lastAnswer = now
        let life = TimeAmount.nanoseconds(Int64(Double(Self.lifetime.nanoseconds) * (0.75 + jitter / 2)))
        state = .due(now + (again ? interval : life))
        return unnamed.intersection(before)
    }

    /// No node has answered.
    mutating func failed(_ error: RedisError, now: NIODeadline, delay: (_ attempt: Int) -> TimeAmount) {
        if case .asking(let since, _) = state { lastQuestion = since }
        failures += 1
        lastFailure = error
        state = .due(now + delay(failures))
    }

    // MARK: Warnings

    /// How many questions in a row no node has answered, if that is worth a warning now: a first one, and then one a minute
    /// at most.
    mutating func takeWarning(now: NIODeadline) -> Int? {
        guard failures > 0, warnings.isDue(now: now) else { return nil }
        hasWarned = true
        return failures
    }

    /// Whether a node has answered after a warning. Returns `true` once.
    mutating func takeRecovery() -> Bool {
        guard failures == 0, hasWarned else { return false }
        hasWarned = false
        return true
    }
}
