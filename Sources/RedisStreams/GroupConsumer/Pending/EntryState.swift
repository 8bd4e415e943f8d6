internal import NIOCore

/// What this consumer knows about one entry of its stream. An id is in exactly one of these states, in the
/// `PendingTable` of its stream. An id in none of them is *unknown*: if the server delivers an entry with it, that is a
/// new message here.
///
/// | state | goes to |
/// |---|---|
/// | `held` | `acknowledging`, `requeueing`, `publishing`, `acknowledged`, `abandoned`, unknown |
/// | `acknowledging` | `acknowledged`, unknown |
/// | `requeueing` | `scheduled`, `deferred`, `returned`, `acknowledged`, unknown |
/// | `publishing` | `acknowledged`, `requeueing`, unknown |
/// | `acknowledged` | `requeueing`, unknown |
/// | `scheduled` | `reclaiming`, unknown |
/// | `deferred` | `requeueing`, unknown |
/// | `reclaiming` | `held`, `quarantined`, `publishing`, `acknowledging`, `requeueing`, `scheduled`, `orphaned`, unknown |
/// | `quarantined` | `reclaiming`, `requeueing`, unknown |
/// | `orphaned` | `reclaiming`, unknown |
/// | `abandoned` | `acknowledging`, `requeueing`, `publishing` |
/// | `returned` | |
///
/// When the group is lost, all ids become unknown. When another consumer claims a message, or its entry is deleted, its
/// id becomes unknown in every state but `acknowledging`, `requeueing` and `publishing`: there the server's reply tells.
enum EntryState: Sendable, Equatable {
    /// The message waits for a handler, or a handler has it.
    case held
    /// Its acknowledgement is queued, or was sent and has no reply yet.
    case acknowledging
    /// Its requeue is queued, or was sent and has no reply yet: it stays pending, and is delivered again. Without a time
    /// it becomes unknown with the reply, since any consumer of the group may claim it.
    case requeueing
    /// A publication is queued, or was sent and has no reply yet: the server adds entries and acknowledges the message, in
    /// one step. If the server refuses the entries of a handler, the message is requeued.
    case publishing
    /// The server has its outcome, while a reply is in flight that may still show it as pending. Then it becomes unknown.
    case acknowledged
    /// It waits for the time of its redelivery. Where that is within the lease, the server has its idle time; where the
    /// consumer postponed a reclaim, it renews the lease.
    case scheduled
    /// It waits for the time of its redelivery, which is later than the lease, so that the consumer renews the lease. It is
    /// requeued with the time that is left.
    case deferred
    /// The consumer fetches its body.
    case reclaiming
    /// A process may have crashed on it: it waits for a slot of the quarantine. If it waits for too long, it is requeued.
    case quarantined
    /// The server may have counted a delivery of it, by a command whose reply was lost, and the consumer has no request in
    /// flight for it. The recovery of the own pending list finds it.
    case orphaned
    /// A handler may still run on it, although the consumer has ended: it stays as it is on the server, unless the handler
    /// still decides its outcome. Its flag in the batch stays set for that.
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
