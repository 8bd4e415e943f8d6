import BenchmarkWork
import Foundation
import RedisStreams

/// Measures the library against plain C loops on hiredis, on the Redis that `REDIS_URL` names.
///
/// The same executable is also the Swift side of a measurement, in its own process: `bench worker …`.
@main
enum Main {
    static func main() async {
        do {
            let arguments = Array(CommandLine.arguments.dropFirst())
            if arguments.count == 2, arguments[0] == Worker.subcommand {
                return try await Worker(Order(json: arguments[1])).run()
            }
            guard let options = try Options(arguments) else { return print(Options.usage) }
            try await withRedisClient(try Worker.url(), logger: Worker.quiet) { try await run(options, Server($0)) }
        } catch {
            FileHandle.standardError.write(Data("bench: \(error)\n".utf8))
            exit(1)
        }
    }

    private static func run(_ options: Options, _ server: Server) async throws {
        switch options.command {
        case .table: try await printTable(options, server)
        case .check: try await Check(server: server, options: options).run()
        case .allocations: try await Allocations(server: server).gate(updating: options.updatesThresholds)
        case .peers: try await Peers(server: server, options: options).run()
        case .sweeps: try await Sweeps(server: server, options: options).run()
        }
    }

    private static func printTable(_ options: Options, _ server: Server) async throws {
        let figures = try await Benchmark(server: server, options: options).run()
        print(Table(figures, rounds: options.rounds).text)
        let report = Report(figures, options: options, server: try await server.version())
        try ResultsFolder.write(report, to: "latest.json")
        let missed = figures.filter { !$0.isReached }.map(\.workload.name)
        if options.isStrict, !missed.isEmpty {
            throw Failure("These miss their goals: \(missed.joined(separator: ", ")).")
        }
    }
}
