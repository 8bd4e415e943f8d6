internal import NIOCore

/// Decides which server is the master, from what sentinels answer. Free of I/O and clocks: `SentinelDirectory` performs what
/// it says.
///
/// The states and their successors:
///
/// | state | what it means | entered by | successors |
/// |---|---|---|---|
/// | `unknown` | No sentinel has named a master yet. | `init` | `verifying` |
/// | `verifying` | The sentinels name a master, and no connection has found it to be one by `ROLE`. | `answered`, `failed` | `serving`, `verifying` of another |
/// | `serving` | A connection was told by `ROLE` that it is a master. | `verified` | `verifying` of another |
///
/// Each failover has an epoch of its own, which is higher than all before. The address that counts is the one that most of
/// those sentinels give that show the highest epoch. `ROLE` alone does not protect: after a failover the old master says
/// `master` for 10 s and more, and accepts writes that are lost. So an address of a lower epoch than that of the present
/// master is refused, whoever gives it. Sentinels that were all set up anew begin with low epochs again: if most of them
/// agree for half a minute, and none shows a higher epoch, they are believed.
struct SentinelStateMachine: ~Copyable {
    /// A master, and the epoch of the failover that made it one.
    struct Master: Sendable, Hashable {
        let address: ServerAddress
        let epoch: Int
    }

    enum Answer: Sendable, Equatable {
        case master(Master)
        /// The sentinel monitors no master of this name.
        case unknownName
    }

    enum Action: Equatable {
        /// Commands go to this master from now on, and every connection to the one before ends.
        case follow(Master, instead: Master?)
        /// No sentinel answers any more. The present master stays.
        case lostContact(RedisError.Code)
        /// A sentinel answers again.
        case regainedContact
        /// The sentinel is behind: what it says is refused.
        case refused(Master, from: ServerAddress)
    }

    private enum State {
        case unknown
        case verifying(Master)
        case serving(Master)
    }

    private struct Sentinel {
        let address: ServerAddress
        /// Whether the configuration names it. Others are forgotten when they have not answered for a while.
        let isConfigured: Bool
        var id: String?
        /// The last answer, or why there was none; `nil` before the first.
        var answer: Result<Answer, RedisError>?
        /// When it answered last, or became known.
        var heardAt: NIODeadline
        /// Whether its last answer was refused.
        var isBehind = false

        /// Two addresses may lead to the same sentinel.
        var key: String { id ?? "\(address)" }
    }

    /// The most sentinels that are asked, and the time after which a learned one is forgotten that does not answer.
    static let maxSentinels = 32
    static let forgetAfter = TimeAmount.seconds(60)
    /// How long most sentinels have to agree on a lower epoch until they are believed.
    static let lowerEpochDelay = TimeAmount.seconds(30)
    /// The least time between two rounds of questions that connections have caused.
    static let leastPause = TimeAmount.milliseconds(50)

    private let name: String
    private var state: State = .unknown
    private var sentinels: [Sentinel]
    private var hasContact = true
    private var lowerEpoch: (master: Master, since: NIODeadline)?
    private var askedAt: NIODeadline?
    private var asksLater = false

    init(name: String, sentinels: [ServerAddress], now: NIODeadline) {
        self.name = name
        var known: Set<ServerAddress> = []
        self.sentinels = sentinels.filter { known.insert($0).inserted }
            .map { Sentinel(address: $0, isConfigured: true, heardAt: now) }
    }

    // MARK: Questions

    /// The present master; `nil` if none is known.
    var master: Master? {
        switch state {
        case .unknown: nil
        case .verifying(let master), .serving(let master): master
        }
    }

    /// Whether `ROLE` has confirmed the present master.
    var isVerified: Bool {
        if case .serving = state { true } else { false }
    }

    /// The sentinels to ask.
    var addresses: [ServerAddress] { sentinels.map(\.address) }

    enum Hint: Sendable {
        /// A sentinel has announced another master.
        case announcement
        /// A connection to the master has ended or could not be made, or the server says that it is none. Each of very many
        /// connections may say so at the same time.
        case connection
        /// The time has come that `later` named.
        case timer
    }

    enum HintAction: Equatable {
        case askNow
        /// At this time, with the hint `timer`: the sentinels were asked just before, when they may not have known it yet.
        case later(NIODeadline)
        /// They will be asked anyway.
        case nothing
    }

    /// Something hints at another master. Returns when to ask all sentinels, if that is before it is time to.
    mutating func hinted(by hint: Hint, now: NIODeadline) -> HintAction {
        if case .connection = hint, let askedAt, now < askedAt + Self.leastPause {
            if asksLater { return .nothing }
            asksLater = true
            return .later(askedAt + Self.leastPause)
        }
        if case .timer = hint, !asksLater { return .nothing }
        askedAt = now
        asksLater = false
        return .askNow
    }

    /// Why there is no master; `nil` as long as one is known, or a sentinel has not been asked yet.
    var failure: RedisError? {
        guard case .unknown = state, sentinels.allSatisfy({ $0.answer != nil }) else { return nil }
        return noMaster
    }

    /// The error of callers that need a master while none is known.
    var noMaster: RedisError {
        var errors: [RedisError] = []
        for sentinel in sentinels {
            if case .failure(let error)? = sentinel.answer { errors.append(error) }
        }
        // If waiting cannot help, such as against a wrong password, then the caller gets that error.
        if errors.count == sentinels.count, let error = errors.first, errors.allSatisfy({ !$0.isRetriable }) {
            return RedisError(
                error.code,
                "No sentinel can be asked: \(error.message)",
                command: error.command,
                cause: error
            )
        }
        return RedisError(.connectionUnavailable, "No sentinel names the master \(name): \(summary).")
    }

    /// What the sentinels said last, for errors and logs.
    var summary: String {
        let shown = sentinels.prefix(8).map { sentinel in
            switch sentinel.answer {
            case nil: "\(sentinel.address) has not answered yet"
            case .success(.unknownName)?: "\(sentinel.address) knows no master of this name"
            case .success(.master(let master))?: "\(sentinel.address) says \(master.address) (epoch \(master.epoch))"
            case .failure(let error)?: "\(sentinel.address) does not answer (\(error.code))"
            }
        }
        return shown.joined(separator: ", ") + (sentinels.count > 8 ? ", …" : "")
    }

    // MARK: Answers

    /// A sentinel has answered.
    mutating func answered(by address: ServerAddress, _ answer: Answer, now: NIODeadline) -> [Action] {
        guard let index = sentinels.firstIndex(where: { $0.address == address }) else { return [] }
        sentinels[index].answer = .success(answer)
        sentinels[index].heardAt = now
        var actions: [Action] = []
        if !hasContact {
            hasContact = true
            actions.append(.regainedContact)
        }
        if let next = decide(now: now) { actions.append(next) }
        if case .master(let named) = answer, let master, named.epoch < master.epoch, named.address != master.address {
            if !sentinels[index].isBehind { actions.append(.refused(named, from: address)) }
            sentinels[index].isBehind = true
        } else {
            sentinels[index].isBehind = false
        }
        return actions
    }

    /// A sentinel could not be asked.
    mutating func failed(_ address: ServerAddress, _ error: RedisError, now: NIODeadline) -> [Action] {
        guard let index = sentinels.firstIndex(where: { $0.address == address }) else { return [] }
        sentinels[index].answer = .failure(error)
        if !sentinels[index].isConfigured, sentinels[index].heardAt + Self.forgetAfter <= now {
            sentinels.remove(at: index)
        }
        if let next = decide(now: now) { return [next] }
        let isSilent = sentinels.allSatisfy { if case .failure? = $0.answer { true } else { false } }
        guard master != nil, hasContact, isSilent else { return [] }
        hasContact = false
        return [.lostContact(error.code)]
    }

    /// A sentinel has told its id, and which others it knows. Returns the ones that are new.
    mutating func learned(
        _ others: [SENTINEL.SENTINELS.Sentinel],
        from address: ServerAddress,
        withID id: String?,
        now: NIODeadline
    ) -> [ServerAddress] {
        if let id, let index = sentinels.firstIndex(where: { $0.address == address }) {
            sentinels[index].id = id
            // Learned by another address before this one had told its id.
            sentinels.removeAll { $0.id == id && $0.address != address && !$0.isConfigured }
        }
        var added: [ServerAddress] = []
        for other in others where sentinels.count < Self.maxSentinels {
            let address = ServerAddress.tcp(host: other.address.host, port: other.address.port)
            if address.fault != nil || sentinels.contains(where: { $0.address == address || $0.id == other.id }) {
                continue
            }
            sentinels.append(Sentinel(address: address, isConfigured: false, id: other.id, heardAt: now))
            added.append(address)
        }
        return added
    }

    // MARK: The master

    /// A connection was told by `ROLE` that this server is a master: `verifying` → `serving`. Returns whether it was not
    /// known.
    mutating func verified(_ address: ServerAddress) -> Bool {
        guard case .verifying(let master) = state, master.address == address else { return false }
        state = .serving(master)
        return true
    }

    /// Which master the last answers make: `nil` if there is no change.
    private mutating func decide(now: NIODeadline) -> Action? {
        let votes = votes
        guard let (best, count) = Self.winner(votes, preferring: master?.address) else { return nil }
        let isMajority = count * 2 > Set(sentinels.map(\.key)).count
        guard let present = master else {
            // The first answer may be that of one that was cut off: unless most agree, all are heard.
            guard isMajority || sentinels.allSatisfy({ $0.answer != nil }) else { return nil }
            return follow(best)
        }
        if best.epoch >= present.epoch { lowerEpoch = nil }
        if best.address == present.address {
            if best.epoch > present.epoch { update(best) }
            if best.epoch >= present.epoch { return nil }
        }
        if best.epoch > present.epoch { return follow(best) }
        // Only a change by hand moves a master without a failover.
        if best.epoch == present.epoch { return isMajority ? follow(best) : nil }
        guard isMajority else {
            lowerEpoch = nil
            return nil
        }
        if let lower = lowerEpoch, lower.master == best {
            guard now >= lower.since + Self.lowerEpochDelay else { return nil }
            if best.address != present.address { return follow(best) }
            update(best)
        } else {
            lowerEpoch = (best, now)
        }
        return nil
    }

    private mutating func follow(_ master: Master) -> Action {
        defer {
            state = .verifying(master)
            lowerEpoch = nil
        }
        return .follow(master, instead: self.master)
    }

    /// The same master has another epoch.
    private mutating func update(_ master: Master) {
        lowerEpoch = nil
        state = isVerified ? .serving(master) : .verifying(master)
    }

    /// The masters that the sentinels name, each sentinel once.
    private var votes: [Master] {
        var voters: Set<String> = []
        return sentinels.compactMap { sentinel in
            guard case .success(.master(let master))? = sentinel.answer, voters.insert(sentinel.key).inserted else {
                return nil
            }
            return master
        }
    }

    /// The address that most of those give that show the highest epoch, and how many these are.
    private static func winner(
        _ votes: [Master],
        preferring present: ServerAddress?
    ) -> (master: Master, count: Int)? {
        guard let epoch = votes.map(\.epoch).max() else { return nil }
        var counts: [(master: Master, count: Int)] = []
        for vote in votes where vote.epoch == epoch {
            if let index = counts.firstIndex(where: { $0.master == vote }) {
                counts[index].count += 1
            } else {
                counts.append((vote, 1))
            }
        }
        let most = counts.map(\.count).max() ?? 0
        let best = counts.filter { $0.count == most }
        return best.first { $0.master.address == present } ?? best.first
    }
}
