import ChaosWork
import Foundation

/// The options of the command line.
struct Options {
    /// All cases, in the order in which they run.
    static let all: [any ChaosCase] = [
        ServerKills(), ConsumerKills(), Resets(), StaleConnections(), SlowHandlers(), StoppedOwners(),
        Cancellations(), Shutdowns(), Strikes(), Overload(), MovedAddress(), Oversized(), ContinuedOwners(),
        ReusedIDs(), RollingRestarts(), RollingUpgrade(), SentinelFailovers(), SentinelFailovers(needsReplicas: true),
    ]

    var cases = Self.all
    /// Reduced counts, for CI.
    var isQuick = false
    /// Whether each case turns off what it tests, so that it must fail.
    var isControl = false
    var seed = UInt64.random(in: 1...999_999)
    var servers: [ServerBinary] = []
    /// The worker of an older build.
    var oldWorker: String?

    /// `nil` if help is wanted.
    init?(_ arguments: [String]) throws {
        var rest = arguments[...]
        var chosen: [String] = []
        while let argument = rest.popFirst() {
            switch argument {
            case "-h", "--help": return nil
            case "--quick": isQuick = true
            case "--control": isControl = true
            case "--seed": seed = try Self.seed(&rest)
            case "--old-worker": oldWorker = try Self.path(&rest)
            case "--server": servers.append(try Self.server(&rest))
            default:
                guard Self.all.contains(where: { $0.name == argument }) else {
                    throw Failure("There is no case or option '\(argument)'.\n\n\(Self.usage)")
                }
                chosen.append(argument)
            }
        }
        if servers.isEmpty { servers = ServerBinary.installed }
        for server in servers { try server.check() }
        let isShort = isQuick || isControl
        cases = cases.filter { chosen.isEmpty ? !(isShort && $0.isLong) : chosen.contains($0.name) }
    }

    private static func path(_ rest: inout ArraySlice<String>) throws -> String {
        guard let path = rest.popFirst() else { throw Failure("--old-worker takes a path.") }
        return path
    }

    private static func seed(_ rest: inout ArraySlice<String>) throws -> UInt64 {
        guard let seed = rest.popFirst().flatMap({ UInt64($0) }) else { throw Failure("--seed takes a number.") }
        return seed
    }

    private static func server(_ rest: inout ArraySlice<String>) throws -> ServerBinary {
        guard let server = rest.popFirst().flatMap({ ServerBinary($0) }) else {
            throw Failure("--server takes NAME=PATH.")
        }
        return server
    }

    static var usage: String {
        """
        usage: chaos [CASE]… [OPTION]…

        Breaks private servers, connections and processes under load, and prints one row for each case. Exits with 1 if
        a case fails, or if a planned fault did not happen.

        \(all.map { "  \($0.name.padding(toLength: 17, withPad: " ", startingAt: 0)) \($0.summary)" }
            .joined(separator: "\n"))

          --quick             Reduced counts, as in CI.
          --control           Control runs: what a case tests is turned off, and the case must fail.
          --seed N            Repeats the random choices of an earlier run.
          --old-worker PATH   The worker of an older build, for rolling-upgrade.
          --server NAME=PATH  A server to run on; may be repeated. Default: those of REDIS_STREAMS_SERVERS, or else
                              redis-server and valkey-server of the PATH.
        """
    }
}
