import RedisStreams

/// The shape of a run with a consumer group, drawn by the seed.
struct GroupPlan {
    var consumers: Int
    var concurrency: Int
    var messages: Int
    var lease: VirtualTime
    /// How long messages are produced for.
    var duration: VirtualTime
    /// Once in how many messages a handler takes longer than the lease. Zero is never.
    var slowOneIn = 0
    /// Once in how many runs a handler throws. Zero is never.
    var failOneIn = 0
    var configuration: GroupConsumer.Configuration
    var faults: [Fault] = []
    var faultCount = 0

    init(_ random: inout SeededGenerator) {
        consumers = random.int(1...4)
        concurrency = random.pick([1, 2, 4, 8])
        messages = random.int(10...80)
        lease = .milliseconds(random.pick([900, 2000, 5000, 30_000]))
        duration = random.duration(milliseconds: 200...20_000)
        configuration = GroupConsumer.Configuration()
        configuration.claimIdleTime = lease.duration
        configuration.batchSize = random.pick([1, 3, 10, 100])
        configuration.prefetch = random.pick([0, 5, 30, 300])
        configuration.block = .milliseconds(random.pick([200, 1000, 5000]))
        configuration.backoff.limit = .seconds(1)
    }

    /// How long a handler takes.
    func handlerTime(_ random: inout SeededGenerator) -> VirtualTime {
        if random.oneIn(slowOneIn) { return VirtualTime(milliseconds: lease.milliseconds * (1 + 2 * random.fraction())) }
        return random.oneIn(3) ? .zero : random.duration(milliseconds: 0.2...100)
    }
}
