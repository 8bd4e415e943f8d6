/// A parsed reply, of which a comparison can mask the parts that depend on the time.
enum RESPText: Hashable, Sendable, CustomStringConvertible {
    /// A status, an error or a number, with its sign.
    case line(String)
    case bulk(String)
    /// With its sign: `*` or `%`.
    case array(String, [RESPText])
    /// `$-1` or `*-1`.
    case null(String)

    /// Reads the reply that begins at `position`, and moves `position` past it; `nil` if the reply is not complete yet.
    init?(_ bytes: [UInt8], _ position: inout Int) {
        var end = position
        guard let line = Self.line(bytes, &end), let sign = line.first else { return nil }
        let count = Int(line.dropFirst()) ?? 0
        switch sign {
        case "$" where count < 0, "*" where count < 0: self = .null(line)
        case "$":
            guard bytes.count >= end + count + 2 else { return nil }
            self = .bulk(bytes[end..<end + count].map(Self.printable).joined())
            end += count + 2
        case "*", "%":
            var elements: [RESPText] = []
            for _ in 0..<(sign == "*" ? count : 2 * count) {
                guard let element = RESPText(bytes, &end) else { return nil }
                elements.append(element)
            }
            self = .array(String(sign), elements)
        default: self = .line(line)
        }
        position = end
    }

    private static func line(_ bytes: [UInt8], _ position: inout Int) -> String? {
        guard let end = bytes[position...].firstIndex(of: 13), end + 1 < bytes.count else { return nil }
        defer { position = end + 2 }
        return bytes[position..<end].map(printable).joined()
    }

    /// The character, or the number of a byte that is not printable ASCII.
    private static func printable(_ byte: UInt8) -> String {
        (0x20..<0x7f).contains(byte) ? String(UnicodeScalar(byte)) : "\\\(byte)"
    }

    var description: String {
        switch self {
        case .line(let text), .null(let text): text
        case .bulk(let text): "\"\(text)\""
        case .array(let sign, let elements): "\(sign)[\(elements.map(\.description).joined(separator: ", "))]"
        }
    }

    var elements: [RESPText] {
        if case .array(_, let elements) = self { elements } else { [] }
    }

    /// The same with `body` applied to every element.
    func mapElements(_ body: (Int, RESPText) -> RESPText) -> RESPText {
        guard case .array(let sign, let elements) = self else { return self }
        return .array(sign, elements.enumerated().map(body))
    }
}

extension RESPText {
    /// The reply to a command, without what depends on the time.
    func masked(_ command: [String]) -> RESPText {
        let words = command.prefix(2).map { $0.uppercased() }
        if words[0] == "XPENDING", command.count > 3 { return mapElements { $1.masking(2).maskingIDs } }
        if words == ["XINFO", "CONSUMERS"] { return mapElements { $1.maskingValues(of: ["idle", "inactive"]) } }
        if words == ["XINFO", "STREAM"] { return maskingFull.maskingNodes.maskingIDs }
        return maskingIDs
    }

    private func masking(_ position: Int) -> RESPText {
        mapElements { $0 == position ? .line("TIME") : $1 }
    }

    /// Masks ids that the server has made from its clock.
    private var maskingIDs: RESPText {
        switch self {
        case .bulk(let text):
            let parts = text.split(separator: "-", omittingEmptySubsequences: false)
            let isID = parts.count == 2 && parts[0].count == 13 && parts.allSatisfy { $0.allSatisfy(\.isNumber) }
            return isID ? .bulk("ID") : self
        case .array: return mapElements { $1.maskingIDs }
        default: return self
        }
    }

    /// Masks the values of these names, except -1, which means none.
    private func maskingValues(of names: [String]) -> RESPText {
        let elements = elements
        return mapElements { index, element in
            guard index % 2 == 1, case .bulk(let name) = elements[index - 1], names.contains(name) else {
                return element
            }
            return element == .line(":-1") ? element : .line("TIME")
        }
    }

    private func value(of name: String, _ body: (RESPText) -> RESPText) -> RESPText {
        let elements = elements
        return mapElements { index, element in
            index % 2 == 1 && elements[index - 1] == .bulk(name) ? body(element) : element
        }
    }

    /// Masks the number of nodes if there are ids from the clock, on which the shape of the tree depends.
    private var maskingNodes: RESPText {
        let isByClock = maskingIDs.elements.contains(.bulk("ID"))
        return isByClock ? maskingValues(of: ["radix-tree-nodes"]) : self
    }

    private var maskingFull: RESPText {
        value(of: "groups") { groups in
            groups.mapElements { _, group in
                group.value(of: "pending") { $0.mapElements { $1.masking(2) } }
                    .value(of: "consumers") { consumers in
                        consumers.mapElements { _, consumer in
                            consumer.value(of: "pending") { $0.mapElements { $1.masking(1) } }
                                .maskingValues(of: ["seen-time", "active-time"])
                        }
                    }
            }
        }
    }
}
