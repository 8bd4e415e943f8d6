import ChaosWork

/// One run of a case.
struct CaseRun {
    private let chosen: any ChaosCase
    private let scene: Scene
    private let limit: Duration

    init(_ chosen: any ChaosCase, options: Options) {
        self.chosen = chosen
        let number = Options.all.firstIndex { $0.name == chosen.name } ?? 0
        // Each case always runs on the same server, and together they use all servers.
        let preferred = options.servers.first { server in chosen.preferredServer.map(server.name.contains) ?? false }
        let server = preferred ?? options.servers[number % options.servers.count]
        scene = Scene(
            servers: chosen.needsAllServers ? options.servers : [server],
            isQuick: options.isQuick,
            isControl: options.isControl,
            seed: options.seed,
            oldWorker: options.oldWorker
        )
        limit = options.isQuick ? .seconds(90) : .seconds(180)
    }

    /// Runs the case, which fails if it takes too long.
    func row() async -> Row {
        Terminal.write("\n-- \(chosen.name): \(chosen.summary)")
        let start = ContinuousClock.now
        let outcome = await outcome()
        return Row(
            name: chosen.name,
            server: scene.servers.count == 1 ? scene.server.name : "\(scene.servers.count) servers",
            outcome: outcome,
            duration: ContinuousClock.now - start,
            control: scene.isControl ? chosen.control : nil
        )
    }

    private func outcome() async -> Outcome {
        let (chosen, scene) = (chosen, scene)
        do {
            return try await bounded("the case", within: limit) { try await chosen.run(scene) }
        } catch {
            return Outcome(problems: ["did not run to its end: \(error)"])
        }
    }
}
