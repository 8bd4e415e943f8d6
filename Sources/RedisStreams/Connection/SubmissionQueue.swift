internal import NIOCore
internal import Synchronization

/// Commands between the tasks that submit them, on any thread, and the event loop that sends them.
///
/// The order in here is the order on the wire. The bytes of all commands are in one buffer, so that commands that are
/// submitted while the event loop is busy leave in one write, and only the first of them has to wake it.
final class SubmissionQueue: Sendable {
    /// A command that the connection has not sent yet.
    struct Entry {
        let name: String
        let blockingTime: Duration?
        let receiver: ReplyReceiver
        /// The latest time, by the clock of leases, at which the connection may send it.
        var latest = NIODeadline.distantFuture

        /// The `ASKING` before another command: nobody waits for its reply.
        static var asking: Entry { Entry(name: ASKING.name, blockingTime: nil, receiver: .handler { _ in }) }
    }

    /// Commands that leave together, and their bytes.
    struct Batch {
        /// Buffers that leave before `bytes`: large ones are not copied.
        var parts: [ByteBuffer] = []
        var bytes = ByteBuffer()
        var byteCount = 0
        var entries: [Entry] = []
    }

    enum Submission {
        /// The command is queued.
        case queued
        /// The command is queued as the first one: the caller has to have `take` called.
        case first
        case refused(RedisError)
    }

    fileprivate struct State {
        var batch = Batch()
        var isTaken = true
        var unsent: UnsentBytes
        var stream: (any ByteStream)?
        var end: RedisError?
    }

    private let state: Mutex<State>

    init(maxBytes: Int = 1 << 30) {
        state = Mutex(State(unsent: UnsentBytes(limit: maxBytes)))
    }

    /// Counts the bytes that `stream` has not sent yet as unsent, too.
    func attach(_ stream: any ByteStream) {
        state.withLock { $0.stream = stream }
    }

    /// Queues one command.
    func submit(_ entry: Entry, _ command: borrowing CommandEncoder) -> Submission {
        unsafe command.withBytes { bytes in
            if bytes.count >= Batch.largeCount { return unsafe submit([entry], ByteBuffer(bytes: bytes)) }
            return state.withLock { state in
                if let refusal = state.refusal(of: bytes.count) { return .refused(refusal) }
                state.batch.entries.append(entry)
                unsafe state.batch.append(bytes)
                return state.appended()
            }
        }
    }

    /// Queues commands that leave together.
    func submit(_ entries: [Entry], _ bytes: ByteBuffer) -> Submission {
        state.withLock { state in
            if let refusal = state.refusal(of: bytes.readableBytes) { return .refused(refusal) }
            state.batch.entries += entries
            state.batch.append(bytes)
            return state.appended()
        }
    }

    /// Removes and returns all queued commands. `batch` is the previous batch, emptied: the queue uses its memory again.
    func take(into batch: inout Batch) {
        batch.bytes.clear()
        state.withLock { state in
            swap(&state.batch, &batch)
            state.isTaken = true
        }
    }

    /// Refuses commands from now on, for `reason`. The connection still sends those that are queued.
    func finish(_ reason: RedisError) {
        state.withLock { $0.end = $0.end ?? reason }
    }

    /// Refuses commands from now on, for `reason`. Returns those that are queued, which the connection will not send.
    func close(_ reason: RedisError) -> [Entry] {
        state.withLock { state in
            defer { state.batch = Batch() }
            state.end = reason
            state.stream = nil
            return state.batch.entries
        }
    }

    var isEmpty: Bool { state.withLock { $0.batch.entries.isEmpty } }
}

extension SubmissionQueue.State {
    fileprivate mutating func refusal(of byteCount: Int) -> RedisError? {
        if let end { return end }
        let fits = unsent.admit(byteCount) { (stream?.unsentBytes ?? 0) + batch.byteCount }
        if fits { return nil }
        return RedisError(
            .connectionUnavailable,
            "The server does not read fast enough: \(unsent.limit) bytes wait to be sent. Send less at once, or later."
        )
    }

    fileprivate mutating func appended() -> SubmissionQueue.Submission {
        defer { isTaken = false }
        return isTaken ? .first : .queued
    }
}

extension SubmissionQueue.Batch {
    /// From this size on, copying a buffer costs more than a write of its own. The queue keeps no memory for more.
    fileprivate static let largeCount = 64 << 10

    fileprivate mutating func append(_ more: UnsafeRawBufferPointer) {
        byteCount += more.count
        unsafe bytes.writeBytes(more)
    }

    fileprivate mutating func append(_ more: ByteBuffer) {
        byteCount += more.readableBytes
        if more.readableBytes < Self.largeCount {
            bytes.writeImmutableBuffer(more)
            return
        }
        if bytes.readableBytes > 0 { parts.append(bytes) }
        parts.append(more)
        bytes = ByteBuffer()
    }

    /// Forgets the commands that were sent, and keeps the memory unless it is much. The bytes stay as they are: while the
    /// socket has not sent them, changing them would copy them.
    mutating func empty() {
        parts = []
        byteCount = 0
        if bytes.capacity > 4 * Self.largeCount { bytes = ByteBuffer() }
        if entries.capacity > 4096 { entries = [] } else { entries.removeAll(keepingCapacity: true) }
    }
}

/// The receiver of the reply to a command.
enum ReplyReceiver: Sendable {
    case one(PendingReply)
    case group(PendingReplies)
    /// The connection calls it on the event loop: no task has to wake before the next command can be sent.
    case handler(@Sendable (PendingReplies.Outcome) -> Void)

    func deliver(_ outcome: PendingReplies.Outcome) {
        switch self {
        case .one(let pending): pending.deliver(outcome)
        case .group(let pending): pending.deliver(outcome)
        case .handler(let handle): handle(outcome)
        }
    }
}
