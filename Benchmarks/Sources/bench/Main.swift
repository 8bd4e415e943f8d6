import Foundation

/// Measures the library against plain C loops on hiredis, on the Redis that `REDIS_URL` names.
///
/// The same executable is also the Swift side of a measurement, as a process of its own: `bench worker …`.
@main
enum Main {
    static func main() async {
        do {
            let arguments = Array(CommandLine.arguments.dropFirst())
            if arguments.first == Worker.subcommand {
                try await Worker(arguments: Array(arguments.dropFirst())).run()
                return
            }
            guard let options = try Options(arguments) else { return print(Options.usage) }
            let results = try await Benchmark(options).run()
            print(Table(results).text)
            try Report(results).write()
            let missed = results.filter { !$0.reachesFloor }
            if options.isStrict, !missed.isEmpty { exit(1) }
        } catch {
            FileHandle.standardError.write(Data("bench: \(error)\n".utf8))
            exit(1)
        }
    }
}

/// Why there are no figures.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
