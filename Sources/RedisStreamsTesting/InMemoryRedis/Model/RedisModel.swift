internal import DequeModule
internal import RedisStreams

/// A Redis server without sockets, threads and clock: commands go in, replies come out.
///
/// Time comes in as a value with everything that happens, and nothing depends on chance, nor on the order in which a
/// dictionary happens to be laid out: the same commands at the same times give the same replies, byte for byte. One
/// command may have several outputs, since it may end the waiting of others.
///
/// ```swift
/// let model = RedisModel(version: .redis7_0)
/// let time = RedisModel.Time(wall: 1_700_000_000_000, monotonic: 0)
/// let connection = model.connect(at: time)
/// model.execute([Bytes("XLEN".utf8), Bytes("orders".utf8)], on: connection, at: time)
/// model.takeOutputs()  // [Output(connection: connection, bytes: ":0\r\n", closes: false)]
/// ```
package final class RedisModel {
    /// A connection, among all that there ever were.
    package struct ConnectionID: Hashable, Comparable, Sendable {
        let number: Int

        /// Connections have no real address here.
        package var address: String { "127.0.0.1:\(10_000 + number)" }

        package static func < (left: ConnectionID, right: ConnectionID) -> Bool { left.number < right.number }
    }

    /// What the clocks of the server say, in milliseconds.
    package struct Time: Sendable, Hashable {
        /// Since 1970. It may step forward and back; ids, idle times and expiry go by it.
        package var wall: Int
        /// Since whenever, and never back: the time for which blocked commands wait.
        package var monotonic: Int
        /// Whether that was rounded down.
        var isRounded: Bool

        package init(wall: Int, monotonic: Int, isRounded: Bool = false) {
            self.wall = wall
            self.monotonic = monotonic
            self.isRounded = isRounded
        }

        /// When so many milliseconds have passed for sure; at the end of all time if that is later.
        func deadline(in milliseconds: Int) -> Int {
            let (end, isTooLate) = (monotonic + (isRounded ? 1 : 0)).addingReportingOverflow(milliseconds)
            return isTooLate ? .max : end
        }
    }

    /// Something for a connection.
    package struct Output: Sendable, Hashable {
        package var connection: ConnectionID
        /// Replies.
        package var bytes: Bytes
        /// Whether the server closes the connection behind them.
        package var closes: Bool
    }

    package let version: InMemoryRedis.Version
    /// What `AUTH` has to give; `nil` for nothing.
    package var password: Bytes?
    /// The port that `INFO` tells.
    package var port = 6379

    // MARK: For the commands

    var time = Time(wall: 0, monotonic: 0)
    /// Where the command that is being executed writes its reply.
    var reply = ReplyWriter()
    var databases = Array(repeating: Keyspace(), count: 16)
    var clients: [ConnectionID: Client] = [:]
    var outputs: [Output] = []
    /// Who waits for a key, in the order in which they began to.
    var waiting: [KeyPlace: [Client]] = [:]
    /// Keys that have changed, and that somebody waits for.
    var readyKeys: [KeyPlace] = []
    /// Connections that no longer wait, and may have sent more meanwhile.
    var released: [Client] = []
    /// How often keys that are watched were changed.
    var watchedChanges: [KeyPlace: Int] = [:]
    var knownScripts: Set<Bytes> = []
    var settings = ServerSettings()
    var startTime: Time?
    private var lastConnection = 0
    private var lastClientID = 0

    /// An empty server.
    package init(version: InMemoryRedis.Version) {
        self.version = version
    }

    /// Lets a client in.
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

    /// Executes a command, its name being the first of its arguments; later, if the connection waits for something.
    ///
    /// Take what comes of it with ``takeOutputs()``.
    package func execute(_ command: [Bytes], on connection: ConnectionID, at time: Time) {
        guard !command.isEmpty else { return }
        accept(.command(command), on: connection, at: time)
    }

    /// Answers a command with an error instead of executing it; in its turn, if the connection waits for something.
    package func refuse(_ command: [Bytes], with error: String, on connection: ConnectionID, at time: Time) {
        accept(.refusal(ReplyError(error)), on: connection, at: time)
    }

    /// Does what is due: ends waits, and removes keys that have expired.
    package func advance(to time: Time) {
        begin(time)
        endWaits()
        removeExpired()
        settle()
    }

    /// When ``advance(to:)`` has something to do, by the monotonic clock; `nil` if it has not.
    package var nextDeadline: Int? {
        guard !waiting.isEmpty else { return nil }
        let waits = clients.values.compactMap { $0.wait?.deadline }.min()
        let expiry = databases.compactMap(\.nextExpiry).min().map { expiry in
            let (rest, isTooLate) = expiry.subtractingReportingOverflow(time.wall)
            let (deadline, isTooLateStill) = rest.addingReportingOverflow(time.monotonic)
            return isTooLate || isTooLateStill ? Int.max : deadline
        }
        return [waits, expiry].compactMap { $0 }.min()
    }

    /// Takes what there is for connections, in the order in which it came.
    package func takeOutputs() -> [Output] {
        let taken = outputs
        outputs = []
        return taken
    }

    /// Starts the server again: all connections are closed, and the data is there or not.
    package func restart(keepingData: Bool, at time: Time) {
        begin(time)
        for client in clients.values.sorted(by: { $0.connection < $1.connection }) { close(client) }
        waiting = [:]
        readyKeys = []
        released = []
        watchedChanges = [:]
        knownScripts = []
        lastClientID = 0
        startTime = time
        if !keepingData { for index in databases.indices { databases[index].removeAll() } }
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

    /// Lets those go on who no longer wait.
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
