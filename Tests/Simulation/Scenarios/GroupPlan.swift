import RedisStreams

/// The parameters of a run with a consumer group. The seed draws them.
struct GroupPlan {
    var consumers: Int
    var concurrency: Int
    var messages: Int
    /// The lease. Times are derived from it even where a run turns leases off.
    var lease: VirtualTime
    /// For how long the producer adds messages.
    var duration: VirtualTime
    /// A handler takes longer than the lease once in this many runs; never if zero.
    var slowOneIn = 0
    /// A handler throws once in this many runs; never if zero.
    var failOneIn = 0
    /// A handler rejects its message once in this many runs; never if zero.
    var rejectOneIn = 0
    /// One of this many messages kills the process that handles it; none if zero.
    var poisonEvery = 0
    /// How many messages kill their process at most.
    var poisonCount = Int.max
    /// Whether the consumers have names like those that the library generates.
    var hasGeneratedNames = false
    /// Whether the run ends by waiting until the names of dead consumers are removed.
    var waitsForNames = false
    /// Whether each handler emits an entry.
    var emits = false
    var faults: [Fault] = []
    var faultCount = 0
    var configuration: GroupConsumer.Configuration
    /// The deliberate mistake of a control run.
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

    /// Whether a message kills the process that handles it.
    func isPoison(_ number: Int) -> Bool {
        poisonEvery > 0 && number % poisonEvery == poisonEvery - 1 && number / poisonEvery < poisonCount
    }

    /// How many messages kill their process.
    var killers: Int { (1...messages).count(where: isPoison) }
}

/// A deliberate mistake, which the checker has to find.
enum Sabotage {
    /// Handlers add outputs by separate commands.
    case plainOutputs
    /// The checker is given the number of deliveries as the attempt.
    case countDeliveries
    /// Two consumers in one process have the same name.
    case sameName
    /// The server swaps two replies.
    case swappedReplies
    /// A reader starts over at the beginning of the stream now and then.
    case restartedReader
    /// The check acts as if a confirmed entry were missing.
    case lostMessage
    /// Connections stay open when a client closes them.
    case leak
    /// A task runs on and on without waiting for anything.
    case busyLoop
    /// When a consumer dies, the server sets the delivery count of its messages to zero.
    case forgetCrashes
    /// When a consumer dies, the server sets the delivery count of its messages to nine.
    case blameAll
    /// Consumers report no events.
    case silence
}
