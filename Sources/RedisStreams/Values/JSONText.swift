/// Facts about JSON that follow from its text, without a decoder.
enum JSONText {
    static func isWhitespace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
    }

    static func isNull(_ text: some Collection<UInt8>) -> Bool {
        // "null", with at most whitespace around it. The first checks are cheap, and rule out most fields.
        guard text.count >= 4, let first = text.first, first == UInt8(ascii: "n") || isWhitespace(first) else {
            return false
        }
        return text.drop(while: isWhitespace).starts(with: "null".utf8)
            && text.drop(while: isWhitespace).dropFirst(4).allSatisfy(isWhitespace)
    }

    /// Whether JSON text can begin with this byte.
    static func mayBeginValue(_ byte: UInt8?) -> Bool {
        guard let byte else { return false }
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "\""), UInt8(ascii: "{"),
            UInt8(ascii: "["), UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"):
            return true
        default:
            return isWhitespace(byte)
        }
    }

    /// Whether the text seems to be an object or an array.
    static func looksStructured(_ text: String.UTF8View) -> Bool {
        let start = text.first { !isWhitespace($0) }
        return start == UInt8(ascii: "{") || start == UInt8(ascii: "[")
    }

    /// Whether the text is a number, by the grammar of RFC 8259: Swift's own initializers accept more.
    static func isNumber(_ text: String.UTF8View) -> Bool {
        var rest = text[...]
        func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
        func skipDigits() -> Bool {
            let digits = rest.prefix(while: isDigit).count
            rest = rest.dropFirst(digits)
            return digits > 0
        }
        if rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
        if rest.first == UInt8(ascii: "0") {
            rest = rest.dropFirst()
        } else if !skipDigits() {
            return false
        }
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            guard skipDigits() else { return false }
        }
        if let exponent = rest.first, exponent | 0x20 == UInt8(ascii: "e") {
            rest = rest.dropFirst()
            if let sign = rest.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { rest = rest.dropFirst() }
            guard skipDigits() else { return false }
        }
        return rest.isEmpty
    }

    /// The text as a string of JSON, with its quotes.
    static func string(_ text: String) -> [UInt8] {
        var json: [UInt8] = [UInt8(ascii: "\"")]
        json.reserveCapacity(text.utf8.count + 2)
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                json.append(UInt8(ascii: "\\"))
                json.append(byte)
            case 0..<0x20:
                json.append(contentsOf: "\\u00".utf8)
                json.append(byte < 0x10 ? UInt8(ascii: "0") : UInt8(ascii: "1"))
                json.append(contentsOf: String(byte & 0xF, radix: 16).utf8)
            default:
                json.append(byte)
            }
        }
        json.append(UInt8(ascii: "\""))
        return json
    }
}
