/// Where one server of a client listens. The login, TLS and all limits are the same for all servers of a client.
struct Endpoint: Sendable, Hashable {
    let address: ServerAddress
}

extension Endpoint: CustomStringConvertible {
    var description: String { "\(address)" }
}
