internal import NIOCore

/// What this consumer knows about one entry of its stream. An id is in exactly one of these states, in the
/// `PendingTable` of its stream. An id in none of them is *unknown*: if the server delivers an entry with it, that is a
/// new message here.
enum EntryState: Sendable, Equatable {
    /// The message waits for a handler, or a handler has it. Its outcome moves it to `acknowledging`, `requeueing` or
    /// `publishing`; the end of the consumer moves it to `abandoned`. It leaves the table when another consumer claims
    /// it, when its entry is deleted, or when it is released.
    case held
    /// Its acknowledgement is queued, or was sent and has no reply yet. It leaves the table with the reply, or goes to
    /// `acknowledged` while another reply is in flight that may still show it as pending.
    case acknowledging
    /// Its requeue is queued, or was sent and has no reply yet: it stays pending, and is delivered again. With the
    /// reply it goes to `scheduled` or `deferred`, or to `returned` if the consumer ends; without a time it leaves the
    /// table, since any consumer of the group may claim it.
    case requeueing
    /// A publication is queued, or was sent and has no reply yet: the server adds entries and acknowledges the message,
    /// in one step. It leaves the table with the reply, as from `acknowledging`, and goes to `requeueing` if the server
    /// refuses the entries of a handler.
    case publishing
    /// The server has its outcome, while a reply is in flight that may still show it as pending. Then it leaves the
    /// table.
    case acknowledged
    /// It waits for the time of its redelivery, which is within the lease. Goes to `reclaiming`.
    case scheduled
    /// It waits for the time of its redelivery, which is later than the lease, so that the consumer renews the lease.
    /// Goes to `requeueing` with the time that is left.
    case deferred
    /// The consumer fetches its body. Goes to `held`, `quarantined`, `publishing`, `acknowledging`, `requeueing`,
    /// `scheduled` or `orphaned`, or leaves the table.
    case reclaiming
    /// A process may have crashed on it: it waits for a slot of the quarantine. Goes to `reclaiming`, or to
    /// `requeueing` if it waits for too long.
    case quarantined
    /// The server may have counted a delivery of it, by a command whose reply was lost, and the consumer has no request
    /// in flight for it. The recovery of the own pending list finds it: it goes to `reclaiming`.
    case orphaned
    /// A handler may still run on it, although the consumer has ended: it stays as it is on the server, unless the
    /// handler still decides its outcome, as from `held`.
    case abandoned
    /// The consumer returned it to the group while it ended.
    case returned
}

/// How an entry came to be reclaimed, and what the consumer does not know about its delivery count.
struct ReclaimState: Sendable, Hashable {
    /// How the entry came to this consumer.
    var source = GroupMessage.Source.pending
    /// Whether the server may have counted a delivery already: the entry was reclaimed, and the reply was lost.
    var isCounted = false
    /// Whether that reply would have contained this entry alone.
    var wasLostAlone = false
}
