internal import NIOCore

/// A connection that this client has lost, while the server may still keep it open.
///
/// Another server, or the same one after a restart, may have given the same id to a connection of another client. So
/// the consumer kills a connection only if everything matches; it is always safe not to, since other consumers claim
/// the messages that the server gives to a stale connection. The address and the age show that this is the server that
/// gave the id: only that connection had this address at that age.
struct StaleConnection: Sendable {
    private let address: String
    private let name: String
    private let begun: NIODeadline
    private let opened: NIODeadline

    /// `nil` if the connection is not lost, was never open, or has no address: on a Unix socket the server notices at
    /// once that it is closed.
    init?(_ connection: RedisConnection) async {
        guard await connection.isClosed, let opened = await connection.openedAt,
            let address = await connection.localAddress
        else { return nil }
        self.init(
            address: address,
            name: connection.configuration.clientName,
            begun: connection.begunAt,
            opened: opened
        )
    }

    init(address: String, name: String?, begun: NIODeadline, opened: NIODeadline) {
        self.address = address
        self.name = name ?? ""
        self.begun = begun
        self.opened = opened
    }

    /// Whether a connection that the server lists is this one, and waits in a read.
    ///
    /// Only the host of the address counts: a proxy between client and server has its own port. If a proxy also changes
    /// the host, the answer is no.
    func isProbably(_ found: CLIENT.LIST.Connection, now: NIODeadline) -> Bool {
        // The server accepted the connection between these two times, and counts its age in whole seconds.
        let ages = Self.seconds(now - opened) - 1...Self.seconds(now - begun) + 1
        return ages.contains(found.age) && Self.host(found.address) == Self.host(address) && found.name == name
            && found.command == "xreadgroup"
    }

    /// The address without its port.
    private static func host(_ address: String) -> Substring {
        address.lastIndex(of: ":").map { address[..<$0] } ?? address[...]
    }

    private static func seconds(_ time: TimeAmount) -> Int { Int(time.nanoseconds / 1_000_000_000) }
}

extension GroupConsumer {
    /// Kills a lost connection that may still wait in a read on the server, which would give it messages that this
    /// consumer never receives. If the user has no right to do that, the consumer goes on.
    func killStale(_ lost: RedisConnection, on connection: RedisConnection, now: NIODeadline) async throws(RedisError) {
        guard configuration.safeguards.contains(.staleConnectionKill), let id = lost.clientID else { return }
        // Another server gives the same id to a stranger.
        guard connection.isToSameServer(as: lost), let stale = await StaleConnection(lost) else { return }
        do throws(RedisError) {
            guard let found = try await connection.execute(CLIENT.LIST(id: id)) else { return }
            guard stale.isProbably(found, now: now) else { return }
            _ = try await connection.execute(CLIENT.KILL(id: id))
        } catch {
            if error.code == .connectionClosed { throw error }
        }
    }
}
