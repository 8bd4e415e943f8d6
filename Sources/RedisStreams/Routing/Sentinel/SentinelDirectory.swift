internal import NIOCore

/// Knows where the master is: asks all sentinels, in parallel and on connections of its own, and tells the node when it is
/// another one. Performs what `SentinelStateMachine` decides.
///
/// It begins with the first connection that a client makes, and ends with the client. Each sentinel is asked twice a second,
/// and at once when something hints at another master: one of the sentinels announces it, a connection to the master ends or
/// cannot be made, or the server says that it is none.
actor SentinelDirectory {
    struct Settings: Sendable {
        /// The name of the master.
        let master: String
        let sentinels: [ServerAddress]
        /// How to connect to each sentinel, at another address than this one has: its login is that of the sentinels.
        let connection: RedisConnection.Configuration
    }

    private enum Sleeping: Hashable {
        /// The task that asks a sentinel.
        case asking(ServerAddress)
        /// A caller that waits for a master.
        case caller(Int)
    }

    private static let pollInterval = Duration.milliseconds(500)
    /// How many rounds of questions there are from one for other sentinels to the next.
    private static let roundsToLearn = 20
    /// The times to wait before a sentinel that does not answer is asked again.
    private static let backoff = {
        var backoff = Backoff()
        (backoff.base, backoff.limit) = (pollInterval, .seconds(5))
        return backoff
    }()

    nonisolated let eventLoop: any EventLoop

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe eventLoop.executor.asUnownedSerialExecutor()
    }

    private let settings: Settings
    private let server: CurrentServer
    private let transport: any Transport
    private let background: BackgroundTasks
    private let instruments: Instruments
    private var machine: SentinelStateMachine
    private var isRunning = false
    private var sleepers: [Sleeping: Sleeper] = [:]
    private var callers = 0
    /// The sentinels that are to be asked again as soon as they have answered.
    private var askAgain: Set<ServerAddress> = []
    /// The sentinels that have a task which asks them.
    private var followed: Set<ServerAddress> = []
    /// The sentinels in the order in which they became known.
    private let sentinels: AsyncStream<ServerAddress>
    private let newSentinels: AsyncStream<ServerAddress>.Continuation

    init(
        _ settings: Settings,
        server: CurrentServer,
        transport: any Transport,
        eventLoop: any EventLoop,
        background: BackgroundTasks,
        instruments: Instruments
    ) {
        self.settings = settings
        self.server = server
        self.transport = transport
        self.eventLoop = eventLoop
        self.background = background
        self.instruments = instruments
        // The stream has no bound, but the sentinels have.
        let (sentinels, newSentinels) = AsyncStream.makeStream(of: ServerAddress.self)
        let machine = SentinelStateMachine(name: settings.master, sentinels: settings.sentinels, now: eventLoop.now)
        for address in machine.addresses { newSentinels.yield(address) }
        self.sentinels = sentinels
        self.newSentinels = newSentinels
        self.machine = machine
    }

    // MARK: For those who connect

    /// The master to connect to. Waits until the sentinels name one.
    ///
    /// - Throws: ``RedisError``: what the sentinels say instead, as soon as all have been asked, or at the deadline.
    func master(until deadline: NIODeadline) async throws(RedisError) -> CurrentServer.Master {
        begin()
        while true {
            if let master = server.master { return master }
            if let failure = machine.failure { throw failure }
            guard eventLoop.now < deadline, !Task.isCancelled else { throw machine.noMaster }
            await sleep(newCaller(), for: Duration(deadline - eventLoop.now))
        }
    }

    /// Waits for `duration`, and no longer than until there is another master than this one.
    func another(than master: CurrentServer.Master, within duration: Duration) async {
        let deadline = eventLoop.now + TimeAmount(duration)
        while server.master?.identity == master.identity, eventLoop.now < deadline, !Task.isCancelled {
            await sleep(newCaller(), for: Duration(deadline - eventLoop.now))
        }
    }

    /// A connection was told by `ROLE` that this server is a master.
    nonisolated func verified(_ address: ServerAddress) {
        eventLoop.execute {
            self.assumeIsolated { directory in
                guard directory.machine.verified(address), let master = directory.machine.master else { return }
                for instrument in directory.instruments.topologies {
                    instrument.masterVerified("\(master.address)", epoch: master.epoch)
                }
            }
        }
    }

    /// Something hints at another master: all sentinels are asked now, or very soon.
    nonisolated func ask(because hint: SentinelStateMachine.Hint) {
        eventLoop.execute { self.assumeIsolated { $0.askAll(because: hint) } }
    }

    private func askAll(because hint: SentinelStateMachine.Hint) {
        switch machine.hinted(by: hint, now: eventLoop.now) {
        case .nothing: return
        case .later(let time):
            eventLoop.scheduleTask(deadline: time) { self.assumeIsolated { $0.askAll(because: .timer) } }
            return
        case .askNow: break
        }
        for address in machine.addresses where !wake(.asking(address)) { askAgain.insert(address) }
    }

    // MARK: The sentinels

    private func begin() {
        if isRunning { return }
        isRunning = true
        background.start {
            await self.run()
        } otherwise: { _ in
            self.eventLoop.execute { self.assumeIsolated { $0.isRunning = false } }
        }
    }

    private func run() async {
        await withDiscardingTaskGroup { group in
            for await address in sentinels where followed.insert(address).inserted {
                group.addTask { await self.askAndListen(to: address) }
            }
            group.cancelAll()
        }
    }

    private func askAndListen(to address: ServerAddress) async {
        // It is cancelled when this returns: the sentinel has been forgotten.
        async let _: Void = listen(to: address)
        await follow(address)
        followed.remove(address)
    }

    private func isKnown(_ address: ServerAddress) -> Bool {
        !Task.isCancelled && machine.addresses.contains(address)
    }

    /// Asks one sentinel again and again, on one connection after the other.
    private func follow(_ address: ServerAddress) async {
        var failures = 0
        while isKnown(address) {
            do throws(RedisError) {
                let connection = try await connect(to: address)
                defer { connection.close() }
                try await ask(address, on: connection) { failures = 0 }
            } catch {
                if Task.isCancelled { return }
                failures += 1
                perform(machine.failed(address, error, now: eventLoop.now))
                await sleep(.asking(address), for: Self.backoff.delay(attempt: failures, jitter: 1))
            }
        }
    }

    private func connect(to address: ServerAddress) async throws(RedisError) -> RedisConnection {
        try await RedisConnection.connect(
            configuration(address),
            transport: transport,
            on: eventLoop,
            instruments: Instruments()
        )
    }

    private func configuration(_ address: ServerAddress) -> RedisConnection.Configuration {
        var configuration = settings.connection
        configuration.address = address
        return configuration
    }

    /// Asks one sentinel for as long as the connection to it lasts.
    private func ask(
        _ address: ServerAddress,
        on connection: RedisConnection,
        answered: () -> Void
    ) async throws(RedisError) {
        var round = 0
        while isKnown(address) {
            let (named, epoch) = await connection.pipeline(
                SENTINEL.GETMASTERADDRBYNAME(master: settings.master),
                SENTINEL.MASTER(master: settings.master)
            )
            if Task.isCancelled { return }
            let answer = try Self.answer(named, epoch)
            perform(machine.answered(by: address, answer, now: eventLoop.now))
            answered()
            if round % Self.roundsToLearn == 0 { await learn(from: address, on: connection) }
            round += 1
            if askAgain.remove(address) == nil { await sleep(.asking(address), for: Self.pollInterval) }
            askAgain.remove(address)
        }
    }

    private static func answer(
        _ named: Result<SENTINEL.Address?, RedisError>,
        _ epoch: Result<Int, RedisError>
    ) throws(RedisError) -> SentinelStateMachine.Answer {
        guard let named = try named.get() else { return .unknownName }
        let address = ServerAddress.tcp(host: named.host, port: named.port)
        if let fault = address.fault {
            throw RedisError(.unexpectedReply, "A sentinel named a master that cannot be: \(fault).")
        }
        switch epoch {
        case .success(let epoch): return .master(.init(address: address, epoch: epoch))
        // A user without the right to ask for it is served all the same: the majority decides then.
        case .failure(let error) where error.serverCode != nil: return .master(.init(address: address, epoch: 0))
        case .failure(let error): throw error
        }
    }

    /// Asks a sentinel which others there are. If it does not say, those of the configuration have to do.
    private func learn(from address: ServerAddress, on connection: RedisConnection) async {
        let (others, id) = await connection.pipeline(SENTINEL.SENTINELS(master: settings.master), SENTINEL.MYID())
        let known = (try? others.get()) ?? []
        for new in machine.learned(known, from: address, withID: try? id.get(), now: eventLoop.now) {
            newSentinels.yield(new)
        }
    }

    /// Listens to what one sentinel announces, for as long as it is known.
    private func listen(to address: ServerAddress) async {
        var pause = Duration.seconds(1)
        while isKnown(address) {
            let watcher = SentinelWatcher(configuration(address), master: settings.master, eventLoop: eventLoop) {
                self.ask(because: .announcement)
            }
            let wasSubscribed = await watcher.run(on: transport)
            // The rounds of questions find everything that is missed meanwhile.
            pause = wasSubscribed ? .seconds(1) : min(pause * 2, .seconds(60))
            await eventLoop.sleep(for: pause)
        }
    }

    // MARK: Performing

    private func perform(_ actions: [SentinelStateMachine.Action]) {
        for action in actions {
            switch action {
            case .follow(let master, let old):
                server.replace(by: master.address)
                for instrument in instruments.topologies {
                    instrument.masterNamed(
                        "\(master.address)",
                        epoch: master.epoch,
                        insteadOf: old.map { "\($0.address)" }
                    )
                }
            case .lostContact(let code):
                for instrument in instruments.topologies { instrument.sentinelsLost(code) }
            case .regainedContact:
                for instrument in instruments.topologies { instrument.sentinelsFound() }
            case .refused(let master, let sentinel):
                for instrument in instruments.topologies {
                    instrument.sentinelRefused("\(sentinel)", master: "\(master.address)", epoch: master.epoch)
                }
            }
        }
        // Each caller checks whether that is what it waits for.
        var waiting: [Int] = []
        for case .caller(let number) in sleepers.keys { waiting.append(number) }
        for number in waiting.sorted() { wake(.caller(number)) }
    }

    // MARK: Sleeping

    private func newCaller() -> Sleeping {
        callers += 1
        return .caller(callers)
    }

    /// Waits for `duration`, or until `wake` or cancellation.
    private func sleep(_ name: Sleeping, for duration: Duration) async {
        let sleeper = Sleeper()
        sleepers[name] = sleeper
        await eventLoop.sleep(for: duration, as: sleeper)
        if sleepers[name] === sleeper { sleepers[name] = nil }
    }

    /// Returns whether it slept.
    @discardableResult
    private func wake(_ name: Sleeping) -> Bool {
        guard let sleeper = sleepers.removeValue(forKey: name) else { return false }
        sleeper.wake()
        return true
    }
}
