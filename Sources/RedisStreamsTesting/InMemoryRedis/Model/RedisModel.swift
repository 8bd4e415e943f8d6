internal import DequeModule
internal import RedisStreams

/// A Redis server without sockets, threads or clock: commands go in, replies come out.
///
/// Every call passes the time as a value, and nothing depends on chance or on the order of a dictionary: the same
/// commands at the same times give the same replies, byte for byte. One command may have several outputs, since it may
/// end the wait of other clients.
///
/// ```swift
/// let model = RedisModel(version: .redis7_0)
/// let time = RedisModel.Time(wall: 1_700_000_000_000, monotonic: 0)
/// let connection = model.connect(at: time)
/// model.execute([Bytes("XLEN".utf8), Bytes("orders".utf8)], on: connection, at: time)
/// model.takeOutputs()  // [Output(connection: connection, bytes: ":0\r\n", closes: false)]
/// ```
package final class RedisModel {
    /// The id of a connection, which no later connection gets.
    package struct ConnectionID: Hashable, Comparable, Sendable {
        let number: Int

        /// An address made up from the number, since connections have no real address here.
        package var address: String { "127.0.0.1:\(10_000 + number)" }

        package static func < (left: ConnectionID, right: ConnectionID) -> Bool { left.number < right.number }
    }

    /// The times of the server's two clocks, in milliseconds.
    package struct Time: Sendable, Hashable {
        /// The time since 1970. It may step forward and back; ids, idle times and expiry follow it.
        package var wall: Int
        /// The time since some moment, which never goes back. Blocked commands wait by it.
        package var monotonic: Int
        /// Whether `monotonic` was rounded down.
        var isRounded: Bool

        package init(wall: Int, monotonic: Int, isRounded: Bool = false) {
            self.wall = wall
            self.monotonic = monotonic
            self.isRounded = isRounded
        }

        /// Returns the time at which this many milliseconds have passed for sure; `Int.max` if that does not fit.
        func deadline(in milliseconds: Int) -> Int {
            let (end, isTooLate) = (monotonic + (isRounded ? 1 : 0)).addingReportingOverflow(milliseconds)
            return isTooLate ? .max : end
        }
    }

    /// Bytes for a connection, or its end.
    package struct Output: Sendable, Hashable {
        package var connection: ConnectionID
        /// The replies.
        package var bytes: Bytes
        /// Whether the server closes the connection after them.
        package var closes: Bool
    }

    package let version: InMemoryRedis.Version
    /// The password that `AUTH` has to send; `nil` for none.
    package var password: Bytes?
    /// The port that `INFO` reports.
    package var port = 6379
    /// What this server knows as a node of a cluster; `nil` for a server alone.
    var clusterNode: ClusterNode?
    /// The master of which this server is a replica; `nil` for a master. A replica refuses writes, and this model copies
    /// nothing by itself.
    var replicatedMaster: (host: String, port: Int)?

    // MARK: For the commands

    var time = Time(wall: 0, monotonic: 0)
    /// The reply of the command that is being executed.
    var reply = ReplyWriter()
    var databases = Array(repeating: Keyspace(), count: 16)
    var clients: [ConnectionID: Client] = [:]
    var outputs: [Output] = []
    /// The clients that wait for a key, in the order in which they began.
    var waiting: [KeyPlace: [Client]] = [:]
    /// How many replicas confirm each write, for `WAIT` and `WAITAOF`.
    var confirmingReplicas = 0
    /// The clients that wait for replicas, in the order in which they began.
    var replicaWaiters: [Client] = []
    /// The keys that have changed and for which clients wait.
    var readyKeys: [KeyPlace] = []
    /// The clients that no longer wait, and may have sent more requests meanwhile.
    var released: [Client] = []
    /// How often each watched key has changed.
    var watchedChanges: [KeyPlace: Int] = [:]
    var knownScripts: Set<Bytes> = []
    /// The scripts that were loaded by `SCRIPT LOAD`, which Redis 6.2 sends to its replicas.
    var loadedScripts: Set<Bytes> = []
    var settings = ServerSettings()
    var startTime: Time?
    private var lastConnection = 0
    private var lastClientID = 0

    /// Creates an empty server.
    package init(version: InMemoryRedis.Version) {
        self.version = version
    }

    /// Connects a client.
    package func connect(at time: Time) -> ConnectionID {
        begin(time)
        lastConnection += 1
        lastClientID += 1
        let id = ConnectionID(number: lastConnection)
        clients[id] = Client(connection: id, number: lastClientID, since: time)
        return id
    }

    /// The client has closed the connection.
    package func disconnect(_ connection: ConnectionID) {
        guard let client = clients.removeValue(forKey: connection) else { return }
        stopWaiting(client)
        stopWatching(client)
        client.isClosed = true
    }

    /// Executes a command, whose name is the first of its arguments. If the connection is blocked, the command waits
    /// its turn.
    ///
    /// ``takeOutputs()`` returns the results.
    package func execute(_ command: [Bytes], on connection: ConnectionID, at time: Time) {
        guard !command.isEmpty else { return }
        accept(.command(command), on: connection, at: time)
    }

    /// Answers a command with an error instead of executing it. If the connection is blocked, the command waits its
    /// turn.
    package func refuse(_ command: [Bytes], with error: String, on connection: ConnectionID, at time: Time) {
        accept(.refusal(ReplyError(error)), on: connection, at: time)
    }

    /// Ends the waits that are over, and removes the keys that have expired.
    package func advance(to time: Time) {
        begin(time)
        endWaits()
        endReplicaWaits()
        removeExpired()
        settle()
    }

    /// The time at which ``advance(to:)`` has something to do, by the monotonic clock; `nil` if there is none.
    package var nextDeadline: Int? {
        let replicas = replicaWaiters.compactMap { $0.replicaWait?.deadline }.min()
        guard !waiting.isEmpty else { return replicas }
        let waits = clients.values.compactMap { $0.wait?.deadline }.min()
        let expiry = databases.compactMap(\.nextExpiry).min().map { expiry in
            let (rest, isTooLate) = expiry.subtractingReportingOverflow(time.wall)
            let (deadline, isTooLateStill) = rest.addingReportingOverflow(time.monotonic)
            return isTooLate || isTooLateStill ? Int.max : deadline
        }
        return [waits, replicas, expiry].compactMap { $0 }.min()
    }

    /// Removes and returns the outputs, in order.
    package func takeOutputs() -> [Output] {
        let taken = outputs
        outputs = []
        return taken
    }

    /// Restarts the server: it closes all connections, and keeps or loses its data.
    package func restart(keepingData: Bool, at time: Time) {
        begin(time)
        for client in clients.values.sorted(by: { $0.connection < $1.connection }) { close(client) }
        waiting = [:]
        readyKeys = []
        released = []
        watchedChanges = [:]
        knownScripts = []
        loadedScripts = []
        lastClientID = 0
        startTime = time
        if !keepingData { for index in databases.indices { databases[index].removeAll() } }
    }

    /// So many replicas confirm each write from now on, and each that was added before.
    func setConfirmingReplicas(_ count: Int) {
        confirmingReplicas = count
        endReplicaWaits()
        settle()
    }

    /// Changes data in another way than by a command, and tells the clients that are blocked.
    func change(_ body: () -> Void) {
        body()
        serveWaiting()
        settle()
    }

    // MARK: -

    private func begin(_ time: Time) {
        self.time = time
        if startTime == nil { startTime = time }
    }

    private func accept(_ request: Request, on connection: ConnectionID, at time: Time) {
        begin(time)
        guard let client = clients[connection] else { return }
        if client.isWaiting || !client.inbox.isEmpty {
            client.inbox.append(request)
        } else {
            process(request, for: client)
        }
        settle()
    }

    private func process(_ request: Request, for client: Client) {
        switch request {
        case .command(let command): emit(run(command, for: client), to: client)
        case .refusal(let error): emit(refusal(error, for: client), to: client)
        }
        serveWaiting()
        if client.closesAfterReply { close(client) }
    }

    /// Processes the requests of clients that no longer wait.
    private func settle() {
        while !released.isEmpty {
            let client = released.removeFirst()
            while !client.isWaiting, !client.isClosed, let next = client.inbox.popFirst() {
                process(next, for: client)
            }
        }
    }

    func emit(_ bytes: Bytes, to client: Client) {
        guard !bytes.isEmpty, !client.isClosed else { return }
        if let last = outputs.indices.last, outputs[last].connection == client.connection, !outputs[last].closes {
            outputs[last].bytes += bytes
        } else {
            outputs.append(Output(connection: client.connection, bytes: bytes, closes: false))
        }
    }

    /// Closes a connection from the server's side.
    func close(_ client: Client) {
        guard !client.isClosed else { return }
        disconnect(client.connection)
        outputs.append(Output(connection: client.connection, bytes: [], closes: true))
    }
}
