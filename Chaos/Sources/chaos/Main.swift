import ChaosWork
import Foundation

/// Breaks real servers, connections and processes under load, and checks that the library keeps its promises.
@main
enum Main {
    static func main() async {
        do {
            guard let options = try Options(Array(CommandLine.arguments.dropFirst())) else {
                return Terminal.write(Options.usage)
            }
            try await run(options)
        } catch {
            FileHandle.standardError.write(Data("chaos: \(error)\n".utf8))
            exit(1)
        }
    }

    private static func run(_ options: Options) async throws {
        Terminal.write("Seed \(options.seed): --seed \(options.seed) repeats this run.")
        var rows: [Row] = []
        for chosen in options.cases {
            let row = await CaseRun(chosen, options: options).row()
            Terminal.write(row.line)
            rows.append(row)
        }
        Terminal.write(Table(rows, isControl: options.isControl).text)
        let failed = rows.filter { !$0.isRight }.map(\.name)
        guard failed.isEmpty else {
            throw Failure("\(failed.joined(separator: ", ")): not as expected. Seed \(options.seed).")
        }
    }
}
