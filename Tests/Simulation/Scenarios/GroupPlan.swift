import RedisStreams

/// The shape of a run with a consumer group, drawn by the seed.
struct GroupPlan {
    var consumers: Int
    var concurrency: Int
    var messages: Int
    /// The lease, also where it is turned off.
    var lease: VirtualTime
    /// How long messages are produced for.
    var duration: VirtualTime
    /// Once in how many runs a handler takes longer than the lease. Zero is never.
    var slowOneIn = 0
    /// Once in how many runs a handler throws. Zero is never.
    var failOneIn = 0
    /// Once in how many runs a handler refuses the message. Zero is never.
    var rejectOneIn = 0
    /// Every how many messages one takes the process along that handles it. Zero is never.
    var poisonEvery = 0
    /// How many of these there are at most.
    var poisonCount = Int.max
    /// Whether the consumers have names as the library generates them.
    var hasGeneratedNames = false
    /// Whether to wait in the end until the names of the dead are gone.
    var watchesNames = false
    /// Whether each handler emits an entry.
    var emits = false
    var faults: [Fault] = []
    var faultCount = 0
    var configuration: GroupConsumer.Configuration
    /// What is done wrong on purpose.
    var sabotage: Sabotage?

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
        configuration.fencing = random.oneIn(4) ? .always : .lease
        configuration.shutdownDeadline = .seconds(5)
    }

    /// How long a handler takes.
    func handlerTime(_ random: inout SeededGenerator) -> VirtualTime {
        if random.oneIn(slowOneIn) {
            return VirtualTime(milliseconds: lease.milliseconds * (1 + 2 * random.fraction()))
        }
        return random.oneIn(3) ? .zero : random.duration(milliseconds: 0.2...100)
    }

    /// Whether a message takes the process along that handles it.
    func isPoison(_ number: Int) -> Bool {
        poisonEvery > 0 && number % poisonEvery == poisonEvery - 1 && number / poisonEvery < poisonCount
    }

    /// How many messages take the process along.
    var killers: Int { (1...messages).count(where: isPoison) }
}

/// What is done wrong on purpose, so that it shows that the checker sees it.
enum Sabotage {
    /// Outputs are added by commands of their own.
    case plainOutputs
    /// What the handler is told as the attempt is how often the message was begun.
    case countDeliveries
    /// Two consumers of one name in one process.
    case sameName
    /// Two replies change places.
    case swappedReplies
    /// A reader begins anew after every failure.
    case restartedReader
    /// A producer does not care whether a message that is confirmed is there.
    case lostMessage
    /// A connection is left open.
    case leak
    /// A task goes on without waiting for anything.
    case circles
    /// The server forgets that a message was delivered when its consumer dies.
    case forgetCrashes
    /// Whatever a consumer held that dies has killed many, as the server has it.
    case blameAll
    /// Nobody hears what consumers tell.
    case silence
}
