/// What a server is among its fellows.
///
/// Source: [ROLE](https://redis.io/docs/latest/commands/role/).
public enum ServerRole: Sendable, Hashable {
    /// It takes writes. `offset` says how far its log of them goes.
    case master(offset: Int, replicaCount: Int)
    /// It copies the master at `host` and `port`. `state` is `connected` when it is up to date.
    case replica(host: String, port: Int, state: String)
    /// It watches over masters with these names, and holds no data.
    case sentinel(masters: [String])
    /// Something that this library does not know.
    case other(String)
}
