/// What can go wrong in a simulation.
enum Fault: String, CaseIterable, Comparable {
    /// A connection breaks, and both sides learn of it.
    case reset
    /// A command is executed and its reply is lost, with the connection.
    case lostReply
    /// A connection goes dead, and nobody learns of it.
    case blackHole
    /// The bytes of a client take long for a while.
    case delay
    /// Nothing goes through between a client and the server for a while.
    case partition
    /// The server restarts with all its data.
    case restart
    /// The server restarts, and its last writes are lost.
    case rollback
    /// The server restarts without data.
    case wipe
    /// The clock of the server jumps by up to an hour.
    case clockStep
    /// A consumer dies, and another takes its place later.
    case kill
    /// A consumer stands still for longer than the lease.
    case pause
    /// The task of a consumer is cancelled, at any await.
    case cancel
    /// A consumer is asked to end.
    case shutdown
    /// The group is destroyed.
    case groupDestroyed
    /// The stream is deleted.
    case streamDeleted

    static func < (a: Fault, b: Fault) -> Bool { a.rawValue < b.rawValue }
}
