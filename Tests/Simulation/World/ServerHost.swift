import NIOCore
import RedisStreams
import RedisStreamsTesting

/// The server of a simulation: the model of `InMemoryRedis` on the virtual clock. The harness has its own connection to
/// it.
///
// SAFETY: there is one thread.
final class ServerHost: SimulatedServer, @unchecked Sendable {
    private final class Peer {
        let connection: SimulatedConnection
        let id: RedisModel.ConnectionID
        var reader = RESPReader()

        init(_ connection: SimulatedConnection, _ id: RedisModel.ConnectionID) {
            self.connection = connection
            self.id = id
        }
    }

    /// Something that the server did. A rollback repeats all but the last ones.
    private enum Operation {
        case connect
        case disconnect(RedisModel.ConnectionID)
        case execute([Bytes], RedisModel.ConnectionID)
        case advance
        case restart(keepingData: Bool)
    }

    private let scheduler: Scheduler
    private let trace: Trace
    private let version: InMemoryRedis.Version
    private var model: RedisModel
    private var peers: [Int: Peer] = [:]
    private var numbers: [RedisModel.ConnectionID: Int] = [:]
    private var operations: [(operation: Operation, time: RedisModel.Time)] = []
    private var control: RedisModel.ConnectionID
    private var timer: Scheduler.Timer?
    /// Whether the server swaps a reply with the next one now and then, which no real server does.
    var swapsReplies = false
    private var heldBack: [Int: ByteBuffer] = [:]
    /// How far the server's clock is off.
    var clockOffset = VirtualTime.zero {
        didSet { highestOffset = max(highestOffset, clockOffset) }
    }
    /// The largest offset so far. A message that was delivered then counts as idle only once the clock is past that
    /// time.
    private(set) var highestOffset = VirtualTime.zero
    /// Called after each command that may settle messages, with its sender, its time on the network, and the pending
    /// messages before and after it.
    var onSettling: (Node, _ delay: VirtualTime, _ before: [Pending], _ after: [Pending]) -> Void = { _, _, _, _ in }
    /// The group whose pending messages and consumers the harness reads.
    var inspected: (stream: StreamKey, group: String)?

    init(scheduler: Scheduler, trace: Trace, version: InMemoryRedis.Version) {
        self.scheduler = scheduler
        self.trace = trace
        self.version = version
        model = RedisModel(version: version)
        control = model.connect(at: RedisModel.Time(wall: Self.epoch, monotonic: 0))
        operations.append((.connect, RedisModel.Time(wall: Self.epoch, monotonic: 0)))
    }

    private static let epoch = 1_700_000_000_000

    private var time: RedisModel.Time {
        let monotonic = Int(scheduler.now.nanoseconds / 1_000_000)
        return .init(wall: Self.epoch + monotonic + Int(clockOffset.nanoseconds / 1_000_000), monotonic: monotonic)
    }

    // MARK: Connections

    func opened(_ connection: SimulatedConnection) {
        let time = time
        let id = model.connect(at: time)
        operations.append((.connect, time))
        peers[connection.number] = Peer(connection, id)
        numbers[id] = connection.number
        connection.localAddress = id.address
    }

    func received(_ bytes: ByteBuffer, sent: VirtualTime, on number: Int) {
        var commands: [[Bytes]] = []
        guard let peer = peers[number] else { return }
        do {
            try unsafe bytes.withUnsafeReadableBytes { bytes in
                unsafe try peer.reader.read(bytes) { reply in
                    commands.append(reply.array.map { $0.map { $0.bytes ?? [] } } ?? [])
                }
            }
        } catch {
            trace.record("server", number, "#\(number) sends an invalid command: \(error)")
            peer.connection.closeByServer()
        }
        for command in commands { execute(command, sent: sent, on: number) }
    }

    func closed(_ number: Int) {
        guard let peer = peers.removeValue(forKey: number) else { return }
        numbers[peer.id] = nil
        model.disconnect(peer.id)
        operations.append((.disconnect(peer.id), time))
        flush()
    }

    private func execute(_ command: [Bytes], sent: VirtualTime, on number: Int) {
        guard let peer = peers[number] else { return }
        trace.record("server", number, "\(peer.connection.node.name)#\(number) \(describe(command))")
        let before = maySettle(command) ? pending() : nil
        let time = time
        model.execute(command, on: peer.id, at: time)
        operations.append((.execute(command, peer.id), time))
        let node = peer.connection.node
        flush()
        if let before { onSettling(node, scheduler.now - sent, before, pending()) }
    }

    /// Sends the outputs of the model, and sets the timer for the next command that stops blocking.
    private func flush() {
        for output in model.takeOutputs() {
            guard let number = numbers[output.connection], let peer = peers[number] else { continue }
            if !output.bytes.isEmpty {
                let name = peer.connection.node.name
                trace.record("reply", number, "to \(name)#\(number) \(describe(reply: output.bytes))")
                send(ByteBuffer(bytes: output.bytes), peer.connection)
            }
            if output.closes { peer.connection.closeByServer() }
        }
        schedule()
    }

    private func send(_ bytes: ByteBuffer, _ connection: SimulatedConnection) {
        if swapsReplies {
            if heldBack[connection.number] == nil, scheduler.random.oneIn(10) {
                return heldBack[connection.number] = bytes
            }
            connection.reply(bytes)
            if let held = heldBack.removeValue(forKey: connection.number) { connection.reply(held) }
            return
        }
        connection.reply(bytes)
    }

    private func schedule() {
        timer?.cancel()
        timer = nil
        guard let deadline = model.nextDeadline else { return }
        timer = scheduler.at(.milliseconds(deadline), in: scheduler.outside) { [self] in
            timer = nil
            let time = time
            model.advance(to: time)
            operations.append((.advance, time))
            flush()
        }
    }

    // MARK: Restarts

    /// Restarts the server. The network has closed all connections before.
    func restart(keepingData: Bool = true) {
        model.restart(keepingData: keepingData, at: time)
        operations.append((.restart(keepingData: keepingData), time))
        control = model.connect(at: time)
        operations.append((.connect, time))
        _ = model.takeOutputs()
        schedule()
    }

    /// Restarts the server without its last operations: a new model repeats all others.
    func rollBack(by count: Int) {
        let kept = Array(operations.dropLast(count))
        let model = RedisModel(version: version)
        for (operation, time) in kept {
            switch operation {
            case .connect: _ = model.connect(at: time)
            case .disconnect(let id): model.disconnect(id)
            case .execute(let command, let id): model.execute(command, on: id, at: time)
            case .advance: model.advance(to: time)
            case .restart(let keepingData): model.restart(keepingData: keepingData, at: time)
            }
        }
        _ = model.takeOutputs()
        operations = kept
        self.model = model
        restart()
    }

    // MARK: The harness

    /// Runs a command that only reads, outside of the simulated network.
    func ask(_ command: String...) -> RedisReply? {
        model.execute(command.map { Bytes($0.utf8) }, on: control, at: time)
        var answer: RedisReply?
        for output in model.takeOutputs() where output.connection == control {
            var reader = RESPReader()
            unsafe output.bytes.withUnsafeBytes { bytes in
                unsafe try? reader.read(bytes) { answer = $0 }
            }
        }
        return answer
    }

    /// Runs a command that changes the data, outside of the simulated network.
    func perform(_ command: String...) {
        let bytes = command.map { Bytes($0.utf8) }
        model.execute(bytes, on: control, at: time)
        operations.append((.execute(bytes, control), time))
        flush()
    }

    /// A message that was delivered and not acknowledged.
    struct Pending: CustomStringConvertible {
        let id: StreamID
        let consumer: String
        let idle: VirtualTime
        let count: Int

        var description: String { "\(id) of \(consumer) (\(count))" }
    }

    /// The pending messages of all consumers of the inspected group.
    func pending() -> [Pending] {
        guard let inspected else { return [] }
        let reply = ask("XPENDING", "\(inspected.stream)", inspected.group, "-", "+", "100000")
        guard let elements = reply?.array else { return [] }
        return elements.compactMap { element in
            guard let parts = element.array, let id = parts.first?.string.flatMap({ StreamID($0) }) else { return nil }
            return Pending(
                id: id,
                consumer: parts[offset: 1]?.string ?? "",
                idle: .milliseconds(parts[offset: 2]?.integer ?? 0),
                count: parts[offset: 3]?.integer ?? 0
            )
        }
    }

    /// The consumers of the inspected group.
    func consumers() -> [String] {
        guard let inspected else { return [] }
        let reply = ask("XINFO", "CONSUMERS", "\(inspected.stream)", inspected.group)
        guard let elements = reply?.array else { return [] }
        return elements.compactMap { $0.array?[offset: 1]?.string }
    }

    /// Whether the inspected group exists.
    var hasGroup: Bool {
        guard let inspected else { return false }
        return ask("XINFO", "CONSUMERS", "\(inspected.stream)", inspected.group)?.array != nil
    }

    private func maySettle(_ command: [Bytes]) -> Bool {
        guard inspected != nil, let first = command.first else { return false }
        let name = String(decoding: first, as: UTF8.self)
        return ["XACK", "EVALSHA", "EVAL", "EXEC", "XGROUP", "XACKDEL"].contains(name)
    }

    /// The ids of a stream.
    func entries(_ stream: StreamKey) -> [StreamID] {
        firstIDs(ask("XRANGE", "\(stream)", "-", "+"))
    }

    /// The values of a field of all entries of a stream.
    func values(of field: String, in stream: StreamKey) -> [String] {
        guard let entries = ask("XRANGE", "\(stream)", "-", "+")?.array else { return [] }
        return entries.compactMap { entry in
            guard let fields = entry.array?[offset: 1]?.array else { return nil }
            let words = fields.map { $0.string ?? "" }
            return words.firstIndex(of: field).map { words[$0 + 1] }
        }
    }

    func isDeadLetter(_ id: StreamID, in stream: StreamKey) -> Bool {
        values(of: DeadLetter.Field.id.rawValue, in: stream).contains("\(id)")
    }

    private func firstIDs(_ reply: RedisReply?) -> [StreamID] {
        guard let elements = reply?.array else { return [] }
        return elements.compactMap { $0.array?.first?.string.flatMap { StreamID($0) } }
    }

    // MARK: Describing

    private func describe(_ command: [Bytes]) -> String {
        var words = command.map { String(decoding: $0, as: UTF8.self) }
        if let name = words.first, name.hasPrefix("EVAL"), words.count > 1 {
            words[1] = Script.all.first { $0.sha1 == words[1] || $0.source == words[1] }?.name ?? words[1]
        }
        return String(words.joined(separator: " ").prefix(200))
    }

    private func describe(reply: Bytes) -> String {
        let text = String(decoding: reply.prefix(160), as: UTF8.self)
        return text.split(separator: "\r\n").joined(separator: " ")
    }
}
