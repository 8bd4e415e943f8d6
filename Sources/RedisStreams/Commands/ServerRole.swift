/// The role of a server in replication.
///
/// Source: [ROLE](https://redis.io/docs/latest/commands/role/).
public enum ServerRole: Sendable, Hashable {
    /// It accepts writes. `offset` is its replication offset: the length of its log of writes.
    case master(offset: Int, replicaCount: Int)
    /// It copies the master at `host` and `port`. `state` is `connected` when it is up to date.
    case replica(host: String, port: Int, state: String)
    /// It monitors the masters with these names, and holds no data.
    case sentinel(masters: [String])
    /// A role that this library does not know.
    case other(String)
}
