/// Where one server of a client listens. The login, TLS and all limits are the same for all servers of a client.
struct Endpoint: Sendable, Hashable {
    let address: ServerAddress
}

extension Endpoint: CustomStringConvertible {
    var description: String { "\(address)" }
}

/// How a client finds the endpoints of its servers.
///
/// The router switches over it when it makes its nodes. A source that asks a cluster for its map is another case. Behind
/// sentinels there is one node, too: its connector asks them where the master is.
enum EndpointSource: Sendable {
    /// One server, at an address that does not change. The name in it is resolved again for each connection.
    case fixed(Endpoint)
}
