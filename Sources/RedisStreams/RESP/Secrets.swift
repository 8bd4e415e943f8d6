/// The passwords of a connection that no description may show: the one it uses now, and those before, which a server may
/// still repeat.
///
/// Nearly every connection has one or none. Then a tape keeps no array.
enum Secrets: Sendable, Equatable {
    case none
    case one(Password)
    case several([Password])

    /// More are not kept: by then, the oldest have long expired.
    private static let limit = 4

    init(_ password: Password? = nil) {
        self = password.map { .one($0) } ?? .none
    }

    /// The passwords, newest first.
    var passwords: [Password] {
        switch self {
        case .none: []
        case .one(let password): [password]
        case .several(let passwords): passwords
        }
    }

    /// Adds the newest password.
    mutating func add(_ password: Password) {
        let former = passwords.filter { $0 != password }
        self = former.isEmpty ? .one(password) : .several(Array(([password] + former).prefix(Self.limit)))
    }
}
