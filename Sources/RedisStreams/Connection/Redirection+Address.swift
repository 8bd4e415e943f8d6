extension Redirection {
    /// The address of the other node; `nil` if no server can be there.
    ///
    /// - Parameter asked: The address of the node that replied.
    func address(from asked: ServerAddress) -> ServerAddress? {
        ServerAddress(host: host, port: port, from: asked)
    }
}

extension ServerAddress {
    /// The address of a node as another node announces it; `nil` if no server can be there.
    ///
    /// - Parameters:
    ///   - host: Empty if the node does not know its own name: then it is the host that was asked.
    ///   - asked: The address of the node that replied.
    init?(host: String, port: Int, from asked: ServerAddress) {
        var host = host
        if host.isEmpty, case .tcp(let own, _) = asked { host = own }
        let address = ServerAddress.tcp(host: host, port: port)
        if address.fault != nil { return nil }
        self = address
    }
}
