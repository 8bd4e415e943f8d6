import ChaosWork
import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A consumer in a process of its own.
final class WorkerProcess: Sendable {
    let order: WorkOrder
    private let process: ChildProcess

    var name: String { order.name }

    /// Starts the program that is built beside this one.
    init(_ order: WorkOrder) throws {
        self.order = order
        let program = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
            .deletingLastPathComponent().appendingPathComponent("chaos-worker").path
        guard FileManager.default.isExecutableFile(atPath: program) else {
            throw Failure("chaos-worker is not beside chaos: there is no \(program).")
        }
        process = try ChildProcess([program, order.json()], log: order.effects + ".log")
    }

    /// Why it has ended by itself; `nil` while it runs.
    var failure: String? {
        guard process.hasExited else { return nil }
        let log = (try? String(contentsOfFile: order.effects + ".log", encoding: .utf8)) ?? ""
        return "\(name) ended: \(log.suffix(500))"
    }

    func kill() async throws { try await process.terminate() }

    func stop() { process.send(SIGSTOP) }

    func goOn() { process.send(SIGCONT) }

    var effects: [Effect] {
        get throws { try EffectLog.effects(in: order.effects) }
    }
}
