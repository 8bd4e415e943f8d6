/// `WAIT` and `WAITAOF`. There are no replicas: a test says how many would confirm writes.
extension RedisModel {
    func wait(_ call: Call) throws(ReplyError) {
        try refuseOnReplica("WAIT")
        let replicas = try call.integer(1)
        confirm(.init(replicas: replicas, deadline: try deadline(call, at: 2)), call)
    }

    func waitaof(_ call: Call) throws(ReplyError) {
        let local = try call.integer(1)
        guard (0...1).contains(local) else { throw ReplyError("ERR value is out of range, must be between 0 and 1") }
        let replicas = try call.integer(2)
        guard replicas >= 0 else { throw ReplyError("ERR value is out of range, must be positive") }
        let deadline = try deadline(call, at: 3)
        try refuseOnReplica("WAITAOF")
        guard local == 0 || hasAppendOnlyFile else {
            throw ReplyError("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.")
        }
        confirm(.init(replicas: replicas, deadline: deadline, isAppendOnlyFile: true), call)
    }

    /// `nil` for a wait without an end.
    private func deadline(_ call: Call, at position: Int) throws(ReplyError) -> Int? {
        let timeout = try call.integer(position, or: ReplyError("ERR timeout is not an integer or out of range"))
        guard timeout >= 0 else { throw ReplyError("ERR timeout is negative") }
        return timeout == 0 ? nil : time.deadline(in: timeout)
    }

    private func refuseOnReplica(_ name: String) throws(ReplyError) {
        guard clusterNode?.master != nil || replicatedMaster != nil else { return }
        let rest = "Please also note that writes to replicas are just local and are not propagated."
        throw ReplyError("ERR \(name) cannot be used with replica instances. \(rest)")
    }

    private func confirm(_ wait: ReplicaWait, _ call: Call) {
        guard call.mayBlock, confirmingReplicas < wait.replicas else { return write(wait, to: &reply) }
        call.client.replicaWait = wait
        replicaWaiters.append(call.client)
    }

    private func write(_ wait: ReplicaWait, to writer: inout ReplyWriter) {
        guard wait.isAppendOnlyFile else { return writer.integer(confirmingReplicas) }
        writer.array(2)
        writer.integer(hasAppendOnlyFile ? 1 : 0)
        writer.integer(confirmingReplicas)
    }

    private var hasAppendOnlyFile: Bool { settings["appendonly"]?.text == "yes" }

    // MARK: Ends

    /// Ends the waits for replicas that have enough of them, or whose time is over.
    func endReplicaWaits() {
        for client in replicaWaiters {
            guard let wait = client.replicaWait else { continue }
            let isOver = wait.deadline.map { $0 <= time.monotonic } ?? false
            if isOver || confirmingReplicas >= wait.replicas { release(client) { write(wait, to: &$0) } }
        }
    }

    /// Ends the wait of this client for replicas as if its time were over. Returns `false` if it has none.
    func endReplicaWait(of client: Client) -> Bool {
        guard let wait = client.replicaWait else { return false }
        release(client) { write(wait, to: &$0) }
        return true
    }
}
