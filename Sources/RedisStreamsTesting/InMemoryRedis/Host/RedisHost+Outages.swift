internal import NIOCore

/// Servers that do not answer, and how they come back.
extension RedisHost {
    enum Outage: Sendable {
        /// The process stands still: connections are accepted, and what arrives waits.
        case stopped
        /// The process has ended: its connections are closed, and new ones are refused.
        case killed
        /// The network is lost: nothing arrives on either side, and nobody is told.
        case isolated
    }

    /// What has arrived at a stopped server.
    enum Arrival: Sendable {
        case bytes(ByteBuffer, RedisModel.ConnectionID)
        case end(RedisModel.ConnectionID)
    }

    /// What becomes of an attempt to connect.
    enum Connecting: Sendable {
        case connected(RedisModel.ConnectionID)
        case refused
        case unanswered
    }

    func begin(_ outage: Outage, _ state: inout State) {
        finish(&state)
        state.outage = outage
        switch outage {
        case .stopped: break
        case .killed:
            state.arrivals = []
            state.model.restart(keepingData: true, at: now(state))
            finish(&state)
        case .isolated: for hosted in state.connections.values { hosted.state = .networkLost }
        }
    }

    /// Ends an outage. A stopped server first executes what has arrived meanwhile, as if nothing had happened.
    func endOutage(_ state: inout State) {
        let arrivals = state.arrivals
        state.outage = nil
        state.arrivals = []
        for arrival in arrivals {
            switch arrival {
            case .bytes(let bytes, let connection): read(bytes, from: connection, &state)
            case .end(let connection): end(connection, &state)
            }
        }
        state.model.advance(to: now(state))
        finish(&state)
    }
}
