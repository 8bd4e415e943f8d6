import BenchmarkWork
import CAllocations
import Foundation

/// The Swift side of a measurement in a process that counts its allocations: `allocations ORDER`.
@main
enum Main {
    static func main() async {
        do {
            guard CommandLine.arguments.count == 2 else { throw Failure("only the benchmark runs this") }
            let counter: (() -> Int)? = allocations_are_counted() ? { allocation_count() } : nil
            try await Worker(Order(json: CommandLine.arguments[1])).run(counting: counter)
        } catch {
            FileHandle.standardError.write(Data("allocations: \(error)\n".utf8))
            exit(1)
        }
    }
}
