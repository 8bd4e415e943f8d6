/// Authenticates the user. A new connection sends it before anything else.
struct AUTH: RedisCommand {
    static let name = "AUTH"

    /// The user; `nil` for `default`, in the form that servers without users understand as well.
    var username: String?
    var password: String
    /// How long commands before it may block, on a connection that is open already.
    var blockingTime: Duration?

    init(username: String?, password: String, blockingTime: Duration? = nil) {
        self.username = username
        self.password = password
        self.blockingTime = blockingTime
    }

    func encode(into encoder: inout CommandEncoder) {
        encoder.append("AUTH")
        if let username { encoder.append(username) }
        encoder.append(password)
    }

    func decode(_ reply: RedisReply) throws(RedisError) { try ok(reply) }
}

// Printing or dumping the command must not show the password.
extension AUTH: CustomStringConvertible, CustomReflectable {
    var description: String { "AUTH" }

    var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// Selects the database of a new connection.
struct SELECT: RedisCommand {
    static let name = "SELECT"

    var database: Int

    init(_ database: Int) {
        self.database = database
    }

    func validate() throws(RedisError) {
        guard database >= 0 else { throw invalid("The number of a database must not be negative.") }
    }

    func encode(into encoder: inout CommandEncoder) {
        encoder.append("SELECT")
        encoder.append(database)
    }

    func decode(_ reply: RedisReply) throws(RedisError) { try ok(reply) }
}
