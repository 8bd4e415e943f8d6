import RedisStreams

extension RedisClient {
    /// The ids of the connections that the server has from the client with this name.
    ///
    /// - Parameter blocked: Whether to return only connections with a blocked read.
    func connections(of name: String, blocked: Bool = false) async throws -> [Int] {
        let list = try await send("CLIENT", "LIST").string ?? ""
        return list.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            guard fields.contains("name=\(name)") else { return nil }
            if blocked, !fields.contains(where: { $0.hasPrefix("flags=") && $0.contains("b") }) { return nil }
            return fields.first { $0.hasPrefix("id=") }.flatMap { Int($0.dropFirst(3)) }
        }
    }
}
