import ChaosWork
import Foundation

/// Breaks real servers, connections and processes under load, and checks what the library makes of it.
@main
enum Main {
    static func main() async {
        do {
            guard let options = try Options(Array(CommandLine.arguments.dropFirst())) else {
                return Terminal.tell(Options.usage)
            }
            try await run(options)
        } catch {
            FileHandle.standardError.write(Data("chaos: \(error)\n".utf8))
            exit(1)
        }
    }

    private static func run(_ options: Options) async throws {
        Terminal.tell("Seed \(options.seed): the same again with --seed \(options.seed).")
        var rows: [Row] = []
        for chosen in options.cases {
            let row = await CaseRun(chosen, options: options).row()
            Terminal.tell(row.line)
            rows.append(row)
        }
        Terminal.tell(Table(rows, isControl: options.isControl).text)
        let failed = rows.filter { !$0.isRight }.map(\.name)
        guard failed.isEmpty else {
            throw Failure("\(failed.joined(separator: ", ")): not as it must be. Seed \(options.seed).")
        }
    }
}
