/// One batch of messages that have to be confirmed, until each has its outcome. No I/O.
///
/// A message is *unsent* until a server has added it, or has refused it for another reason than that the stream has moved. What the
/// old node refuses for that reason is sent again, in order, to the new one. What a node has added is confirmed by that
/// node, whatever becomes of the stream afterwards.
struct ConfirmedBatch<Item>: ~Copyable {
    typealias Outcome = Result<StreamID, RedisError>

    /// What follows from the replies of a server.
    struct Step {
        /// The messages that have their outcomes now.
        var outcomes: [(item: Item, outcome: Outcome)] = []
        /// Where the stream is now; `nil` if it has not moved.
        var redirection: RedisError?
        /// Whether the next messages may go over the same connection.
        var keepsConnection = true
    }

    private let command: ConfirmationCommand
    private var redirections = 0
    /// The messages to send next, in order.
    private(set) var unsent: [Item]

    init(_ items: [Item], _ command: ConfirmationCommand) {
        unsent = items
        self.command = command
    }

    /// The server's replies: to each unsent message, and to the command behind them.
    mutating func answered(
        _ replies: [Outcome],
        _ confirmation: Result<ConfirmationCommand.Confirmed, RedisError>
    ) -> Step {
        var step = Step()
        var moved: [Item] = []
        for (item, reply) in zip(unsent, replies) {
            switch reply {
            case .success(let id): step.outcomes.append((item, outcome(of: id, confirmation)))
            case .failure(let error) where error.code == .slotMoving && redirections < RedirectBudget.maxRedirections:
                moved.append(item)
                step.redirection = error
            case .failure(let error):
                step.outcomes.append((item, .failure(error)))
                step.keepsConnection = false
            }
        }
        unsent = moved
        if !moved.isEmpty { redirections += 1 }
        if case .failure = confirmation { step.keepsConnection = false }
        if step.redirection != nil { step.keepsConnection = false }
        return step
    }

    private func outcome(
        of id: StreamID,
        _ confirmation: Result<ConfirmationCommand.Confirmed, RedisError>
    ) -> Outcome {
        if case .success(let confirmed) = confirmation, command.isMet(by: confirmed) { return .success(id) }
        return .failure(.unconfirmed(id, command, confirmation))
    }

    /// Nothing can be sent. Returns the messages that fail.
    mutating func abandoned() -> [Item] {
        defer { unsent = [] }
        return unsent
    }
}
