/// Which node of a cluster serves which slot.
struct SlotMap: Sendable {
    /// The position of the master in `masters`, for each slot; `none` for a slot that no node serves.
    private var owners = [UInt16](repeating: none, count: StreamKey.slotCount)
    /// The addresses of the masters, each once.
    private(set) var masters: [ServerAddress] = []
    /// The addresses of replicas, each once. They are only asked for maps.
    private(set) var replicas: [ServerAddress] = []
    private var positions: [ServerAddress: UInt16] = [:]

    private static let none = UInt16.max
    /// The most replicas that are kept.
    private static let maxReplicas = 1000

    init() {}

    /// - Parameter asked: The address of the node that replied.
    init(_ ranges: [CLUSTER.SlotRange], from asked: ServerAddress) {
        var named: Set<CLUSTER.SlotRange.Replica> = []
        for range in ranges {
            for replica in range.replicas where named.count < Self.maxReplicas && named.insert(replica).inserted {
                if let address = ServerAddress(host: replica.host, port: replica.port, from: asked) {
                    replicas.append(address)
                }
            }
            guard let address = ServerAddress(host: range.host, port: range.port, from: asked) else { continue }
            guard let position = position(of: address) else { continue }
            for slot in range.first...range.last { owners[slot] = position }
        }
    }

    /// The address of the node that serves a slot; `nil` if none does.
    subscript(slot: Int) -> ServerAddress? {
        let position = owners[slot]
        return position == Self.none ? nil : masters[Int(position)]
    }

    /// The slot has moved.
    mutating func move(_ slot: Int, to address: ServerAddress) {
        if let position = position(of: address) { owners[slot] = position }
    }

    /// Whether no node serves any slot.
    var isEmpty: Bool { masters.isEmpty }

    /// `nil` if there are already as many addresses as there are slots, which no cluster has.
    private mutating func position(of address: ServerAddress) -> UInt16? {
        if let known = positions[address] { return known }
        if masters.count == StreamKey.slotCount { return nil }
        let position = UInt16(masters.count)
        masters.append(address)
        positions[address] = position
        return position
    }
}
