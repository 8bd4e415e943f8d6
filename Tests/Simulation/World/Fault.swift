/// What can go wrong in a simulation.
enum Fault: String, CaseIterable, Comparable {
    /// A connection breaks, and both sides are notified.
    case reset
    /// The server executes a command; its reply and the connection are lost.
    case lostReply
    /// A connection drops all bytes, and the client is not notified.
    case blackHole
    /// The bytes of a client are delayed for a while.
    case delay
    /// No bytes pass between a client and the server for a while.
    case partition
    /// The server restarts with all its data.
    case restart
    /// The server restarts, and its last writes are lost.
    case rollback
    /// The server restarts without data.
    case wipe
    /// The clock of the server jumps by up to an hour.
    case clockStep
    /// The process of a consumer is killed, and another one replaces it later.
    case kill
    /// The process of a consumer is stopped for longer than the lease.
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
