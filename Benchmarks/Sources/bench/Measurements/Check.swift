import BenchmarkWork

/// The short form for CI: counts allocations, which are the same on every machine, and checks ratios, which are not,
/// with a wide margin.
struct Check {
    let server: Server
    let options: Options

    func run() async throws {
        try await Allocations(server: server).gate(updating: false)
        let figures = try await Benchmark(server: server, options: options).run()
        print(Table(figures, rounds: options.rounds).text)
        let missed = figures.filter { !$0.isWithinMargin }.map { figure in
            """
            '\(figure.workload.name)' has the ratio \(decimal(figure.ratio.median)); needed is \
            \(figure.workload.goal.text), here within a factor of \(decimal(figure.workload.margin))
            """
        }
        guard missed.isEmpty else {
            throw Failure(
                """
                These miss their goals by far:
                  \(missed.joined(separator: "\n  "))
                'make bench' measures them for longer.
                """
            )
        }
        print("\nAll within the margin of the short form.")
    }
}
