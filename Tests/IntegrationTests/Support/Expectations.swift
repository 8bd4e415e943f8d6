import Foundation
import RedisStreams
import Testing

/// A text that no error may ever contain.
let secret = "hunter2-secret"

/// Expects `body` to throw a `RedisError` with one of these codes, and without the secret.
@discardableResult
func expectError(
    _ codes: RedisError.Code...,
    within limit: Duration? = nil,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () async throws -> some Any
) async -> RedisError? {
    let start = ContinuousClock.now
    do {
        _ = try await body()
        Issue.record("Nothing was thrown instead of \(codes)", sourceLocation: sourceLocation)
        return nil
    } catch let error as RedisError {
        let time = ContinuousClock.now - start
        #expect(codes.contains(error.code), "\(error)", sourceLocation: sourceLocation)
        if let limit { #expect(time < limit, sourceLocation: sourceLocation) }
        expectNoSecret(in: error, sourceLocation: sourceLocation)
        return error
    } catch {
        Issue.record("Something else than a RedisError: \(error)", sourceLocation: sourceLocation)
        return nil
    }
}

func expectNoSecret(in error: RedisError, sourceLocation: SourceLocation = #_sourceLocation) {
    var dumped = ""
    dump(error, to: &dumped)
    for text in ["\(error)", String(reflecting: error), error.message, error.localizedDescription, dumped] {
        #expect(!text.contains(secret), sourceLocation: sourceLocation)
    }
}

extension Result where Failure == RedisError {
    /// The error of a failure.
    var failure: RedisError? {
        if case .failure(let error) = self { error } else { nil }
    }
}

extension RedisReply {
    /// The strings of an array, without elements that are no strings.
    var texts: [String] { (array ?? nil).map { $0.compactMap(\.string) } ?? [] }
}

extension RedisClient {
    /// How often the server has received commands with these names, from all clients. A subcommand is `xinfo|stream`;
    /// Redis 6.2 counts it as `xinfo`.
    func calls(of names: String...) async throws -> Int {
        let statistics = try await info("commandstats")
        let lines = names.compactMap { statistics["cmdstat_\($0)"] }
        let counts = lines.compactMap { $0.split(separator: ",").first?.split(separator: "=").last }
        return counts.compactMap { Int($0) }.reduce(0, +)
    }

    /// Waits until the server has received `count` more `XREAD`s.
    func moreReads(_ count: Int) async throws {
        let before = try await calls(of: "xread")
        try await eventually("\(count) more reads") { try await calls(of: "xread") >= before + count }
    }

    /// The connections that the server has, each as the line of `CLIENT LIST`.
    func connections(named name: String? = nil) async throws -> [[String: String]] {
        let list = try await send("CLIENT", "LIST").string ?? ""
        let connections = list.split(separator: "\n").map { line in
            line.split(separator: " ").reduce(into: [String: String]()) { values, part in
                let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                values[String(pair[0])] = pair.count > 1 ? String(pair[1]) : ""
            }
        }
        guard let name else { return connections }
        return connections.filter { $0["name"] == name }
    }
}
