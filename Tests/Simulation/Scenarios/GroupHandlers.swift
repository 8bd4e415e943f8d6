import RedisStreams

/// The handlers of a simulated consumer. As the plan says, they are slow, throw, or kill their process.
///
// SAFETY: there is one thread.
final class GroupHandlers: @unchecked Sendable {
    struct HandlerFailed: Error {}

    private let scenario: GroupScenario
    private let client: RedisClient
    private let node: Node

    init(_ scenario: GroupScenario, _ client: RedisClient, _ node: Node) {
        self.scenario = scenario
        self.client = client
        self.node = node
    }

    private var world: World { scenario.world }
    private var plan: GroupPlan { scenario.plan }

    func handle(_ message: GroupMessage, _ context: HandlerContext) async throws {
        let id = message.id
        let isCounting = plan.sabotage == .countDeliveries
        let attempt = isCounting ? (world.checker.records[id]?.begun ?? 0) + 1 : context.attempt
        let run = world.checker.begin(id, attempt: attempt, crashes: message.crashes, at: node)
        if node.isAlive, plan.isPoison(Int(message["n"] ?? "") ?? 0) {
            world.countFault(.kill, at: nil)
            scenario.replace(node, after: .seconds(1))
            world.kill(node)
            if plan.sabotage == .forgetCrashes { scenario.setDeliveries(to: node, 0) }
            if plan.sabotage == .blameAll { scenario.setDeliveries(to: node, 9) }
        }
        do {
            try await work(run)
            if plan.emits { try await emit(id, context) }
        } catch {
            world.checker.end(run, .abandoned)
            throw error
        }
        if world.random.oneIn(plan.rejectOneIn) {
            world.checker.end(run, .rejected)
            throw Reject("simulated")
        }
        if world.random.oneIn(plan.failOneIn) {
            world.checker.end(run, .failed)
            if world.random.oneIn(4) { throw Retry(after: world.random.duration(milliseconds: 1...3000).duration) }
            throw HandlerFailed()
        }
        world.checker.end(run, .done)
    }

    private func work(_ run: Int) async throws {
        let time = plan.handlerTime(&world.random)
        if time == .zero { return }
        try await withTaskCancellationHandler {
            try await sleep(time, on: node.process)
        } onCancel: {
            world.checker.cancelled(run)
        }
    }

    private func emit(_ id: StreamID, _ context: HandlerContext) async throws {
        if plan.sabotage == .plainOutputs {
            _ = try await client.xadd(GroupScenario.outputs, ["of": "\(id)"])
        } else {
            try context.emit(["of": "\(id)"], to: GroupScenario.outputs)
        }
    }
}
