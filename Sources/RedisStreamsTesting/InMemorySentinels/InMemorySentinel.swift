internal import NIOCore
internal import RedisStreams
internal import Synchronization

/// One sentinel of an ``InMemorySentinels``: what it knows of the master, and its connections.
final class InMemorySentinel: Sendable {
    struct View: Sendable {
        var host: String
        var port: Int
        var epoch: Int
    }

    private final class Connection {
        let delegate: any ByteStreamDelegate
        var reader = RequestReader(.redis7_0)
        var isAuthenticated = false
        var isSubscribed = false

        init(_ delegate: any ByteStreamDelegate) { self.delegate = delegate }
    }

    private struct State {
        var view: View
        var isStopped = false
        var isHeldBack = false
        var connections: [Int: Connection] = [:]
        var last = 0
    }

    private let state: Mutex<State>
    private let master: String
    private let id: String
    private let password: String?
    /// The host, the port and the id of the other sentinels.
    private let others: [(String, Int, String)]
    private let eventLoop: any EventLoop
    private let log: CommandLog
    let address: ServerAddress

    init(
        _ number: Int,
        of all: [ServerAddress],
        master: String,
        view: View,
        password: String?,
        eventLoop: any EventLoop,
        log: CommandLog
    ) {
        address = all[number]
        self.master = master
        self.password = password
        self.eventLoop = eventLoop
        self.log = log
        id = "sentinel-\(number)"
        others = all.enumerated().compactMap { index, address in
            guard index != number, case .tcp(let host, let port) = address else { return nil }
            return (host, port, "sentinel-\(index)")
        }
        state = Mutex(State(view: view))
    }

    // MARK: Levers

    func setHeldBack(_ isHeldBack: Bool) { state.withLock { $0.isHeldBack = isHeldBack } }

    func stop() {
        let connections = state.withLock { state in
            state.isStopped = true
            defer { state.connections = [:] }
            return state.connections.sorted { $0.key < $1.key }.map(\.value.delegate)
        }
        for delegate in connections { eventLoop.execute { delegate.ended(with: nil) } }
    }

    func start() { state.withLock { $0.isStopped = false } }

    /// It has learned of a failover.
    func learn(_ view: View, announce: Bool) {
        let (old, subscribers): (View, [any ByteStreamDelegate]) = state.withLock { state in
            let old = state.view
            if state.isHeldBack || state.isStopped || state.view.epoch == view.epoch { return (old, []) }
            state.view = view
            let subscribers = state.connections.sorted { $0.key < $1.key }.map(\.value).filter(\.isSubscribed)
            return (old, announce ? subscribers.map(\.delegate) : [])
        }
        var message = ReplyWriter(isRESP3: false)
        message.array(3)
        message.bulk("message")
        message.bulk("+switch-master")
        message.bulk("\(master) \(old.host) \(old.port) \(view.host) \(view.port)")
        let bytes = ByteBuffer(bytes: message.bytes)
        for subscriber in subscribers { eventLoop.execute { subscriber.received(bytes) } }
    }

    // MARK: Connections

    /// Returns the number of the connection.
    func connect(_ delegate: any ByteStreamDelegate) throws(RedisError) -> Int {
        let number: Int? = state.withLock { state in
            if state.isStopped { return nil }
            state.last += 1
            state.connections[state.last] = Connection(delegate)
            return state.last
        }
        guard let number else { throw RedisError(.connectionRefused, "The sentinel has been stopped.") }
        return number
    }

    func received(_ bytes: ByteBuffer, from number: Int) {
        let (delegate, replies): ((any ByteStreamDelegate)?, Bytes) = state.withLock { state in
            guard let connection = state.connections[number] else { return (nil, []) }
            connection.reader.feed(bytes.readableBytesView)
            var replies: Bytes = []
            while let command = try? connection.reader.next() {
                log.append(command.map(\.text), at: address)
                replies += reply(to: command.map(\.text), on: connection, number, state.view)
            }
            return (connection.delegate, replies)
        }
        guard let delegate, !replies.isEmpty else { return }
        let buffer = ByteBuffer(bytes: replies)
        eventLoop.execute { delegate.received(buffer) }
    }

    func closed(_ number: Int) { state.withLock { $0.connections[number] = nil } }

    private func reply(to command: [String], on connection: Connection, _ number: Int, _ view: View) -> Bytes {
        var reply = ReplyWriter(isRESP3: false)
        let words = command.map { $0.uppercased() }
        if words[0] != "AUTH", password != nil, !connection.isAuthenticated {
            reply.error(ReplyError("NOAUTH Authentication required."))
            return reply.bytes
        }
        switch (words[0], words.dropFirst().first) {
        case ("AUTH", _):
            connection.isAuthenticated = command.last == password
            if connection.isAuthenticated { reply.ok() } else { reply.error(ReplyError("WRONGPASS invalid password.")) }
        case ("PING", _): reply.simple("PONG")
        case ("CLIENT", "ID"): reply.integer(number)
        case ("CLIENT", _): reply.ok()
        case ("SUBSCRIBE", _):
            connection.isSubscribed = true
            reply.array(3)
            reply.bulk("subscribe")
            reply.bulk(command.last ?? "")
            reply.integer(1)
        case ("SENTINEL", "MYID"): reply.bulk(id)
        case ("SENTINEL", "GET-MASTER-ADDR-BY-NAME") where command.last != master: reply.nullArray()
        case ("SENTINEL", _) where command.last != master:
            reply.error(ReplyError("ERR No such master with that name"))
        case ("SENTINEL", "GET-MASTER-ADDR-BY-NAME"):
            reply.array(2)
            reply.bulk(view.host)
            reply.bulk("\(view.port)")
        case ("SENTINEL", "MASTER"):
            fields([("name", master), ("ip", view.host), ("config-epoch", "\(view.epoch)")], &reply)
        case ("SENTINEL", "SENTINELS"):
            reply.array(others.count)
            for (host, port, id) in others { fields([("ip", host), ("port", "\(port)"), ("runid", id)], &reply) }
        default: reply.error(ReplyError("ERR unknown command"))
        }
        return reply.bytes
    }

    private func fields(_ values: [(String, String)], _ reply: inout ReplyWriter) {
        reply.array(values.count * 2)
        for (name, value) in values {
            reply.bulk(name)
            reply.bulk(value)
        }
    }
}

/// The commands that arrived, with their addresses. The oldest are forgotten.
final class CommandLog: Sendable {
    private static let limit = 20_000
    private let entries = Mutex<[(address: ServerAddress, command: [String])]>([])

    func append(_ command: [String], at address: ServerAddress) {
        entries.withLock { entries in
            if entries.count >= Self.limit { entries.removeFirst(Self.limit / 2) }
            entries.append((address, command))
        }
    }

    func commands(at address: ServerAddress) -> [[String]] {
        entries.withLock { $0.filter { $0.address == address }.map(\.command) }
    }
}
