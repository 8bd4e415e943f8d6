internal import NIOCore

/// Which leases each script of a round renews, and which leases have expired. Free of I/O and clocks.
struct RenewalPlan {
    /// The leases that one script renews.
    struct Piece {
        var ids: [StreamID] = []
        /// The batches whose lease this renews.
        var batches: [DeliveredBatch] = []
    }

    /// The most ids of one script, except for larger batches: while it runs, the server serves no other client.
    static let maxIDs = 1000

    /// Messages whose lease has expired: another consumer may own them.
    private(set) var expired: [StreamID] = []
    private(set) var pieces: [Piece] = []

    /// - Parameters:
    ///   - batches: Batches, each with the ids of its held messages.
    ///   - unheld: Ids without a held message whose leases are renewed too.
    init(_ batches: [(DeliveredBatch, [StreamID])], unheld: [StreamID], lease: TimeAmount, now: NIODeadline) {
        var piece = Piece()
        for (batch, ids) in batches {
            guard batch.leaseStart + lease > now else {
                expired += ids
                continue
            }
            piece.ids += ids
            piece.batches.append(batch)
            finish(&piece, from: Self.maxIDs)
        }
        for id in unheld {
            piece.ids.append(id)
            finish(&piece, from: Self.maxIDs)
        }
        finish(&piece, from: 1)
    }

    private mutating func finish(_ piece: inout Piece, from size: Int) {
        guard piece.ids.count >= size else { return }
        pieces.append(piece)
        piece = Piece()
    }
}
