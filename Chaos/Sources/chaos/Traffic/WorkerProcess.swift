import ChaosWork
import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A consumer in its own process.
final class WorkerProcess: Sendable {
    let order: WorkOrder
    private let process: ChildProcess

    var name: String { order.name }

    /// The program that is built beside this one.
    static var program: String {
        URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
            .deletingLastPathComponent().appendingPathComponent("chaos-worker").path
    }

    /// Starts a worker. `program` may be that of another build.
    init(_ order: WorkOrder, program: String = WorkerProcess.program) throws {
        self.order = order
        guard FileManager.default.isExecutableFile(atPath: program) else {
            throw Failure("There is no worker at \(program).")
        }
        process = try ChildProcess([program, order.json()], log: order.effects + ".log")
    }

    /// Why it has ended by itself; `nil` while it runs.
    var failure: String? {
        guard process.hasExited else { return nil }
        let log = (try? String(contentsOfFile: order.effects + ".log", encoding: .utf8)) ?? ""
        return "\(name) ended: \(log.suffix(500))"
    }

    /// The name of the consumer; `nil` until a generated one is known.
    var consumerName: String? {
        order.hasGeneratedName ? try? String(contentsOfFile: order.nameFile, encoding: .utf8) : order.name
    }

    func kill() async throws { try await process.terminate() }

    /// Asks the worker to shut down, and waits until it has.
    func shutDown() async throws {
        process.send(SIGTERM)
        try await eventually("\(name) shuts down", within: .seconds(25)) { self.process.hasExited }
    }

    func stop() { process.send(SIGSTOP) }

    func resume() { process.send(SIGCONT) }

    var effects: [Effect] {
        get throws { try EffectLog.effects(in: order.effects) }
    }
}
