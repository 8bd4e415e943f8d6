// Errors of encoding and decoding values. They name the field and the types, and say where in a nested value the fault
// is. They leave out the contents of fields, and the descriptions of other errors, which may repeat these contents.

extension RedisError {
    /// The error that `decode(_:)` throws for any failure.
    init(decoding type: any Any.Type, failure: any Error) {
        if let error = failure as? RedisError ?? (failure as? DecodingError)?.context.underlyingError as? RedisError {
            self = error
        } else if let error = failure as? DecodingError, let field = error.context.codingPath.first {
            // The failure comes from the type's own `init(from:)`, or from a container within a field.
            let path = error.context.codingPath.dropFirst()
            self.init(
                .decodingFailed,
                "The field \(quoted(field.stringValue)) of \(type) does not read: \(error.reason(path: path)).",
                cause: error
            )
        } else if let error = failure as? DecodingError {
            self.init(.decodingFailed, "\(type) does not read: \(error.reason(path: [])).", cause: error)
        } else {
            self.init(
                .decodingFailed,
                "\(type) does not read: \(Swift.type(of: failure)) was thrown while it was decoded.",
                cause: failure
            )
        }
    }

    /// The error for a field that could not be decoded.
    init(decodingField name: String, of type: any Any.Type, as expected: any Any.Type, failure: any Error) {
        let reason =
            if let error = failure as? DecodingError {
                error.isAboutWhole ? expectation(of: expected) : error.reason(path: error.context.codingPath[...])
            } else {
                "\(Swift.type(of: failure)) was thrown while it was decoded"
            }
        self.init(
            .decodingFailed,
            "The field \(quoted(name)) of \(type) does not read as \(expected): \(reason).",
            cause: failure
        )
    }

    /// The error that `init(encoding:)` throws for any failure.
    init(encoding type: any Any.Type, failure: any Error) {
        if let error = failure as? RedisError ?? (failure as? EncodingError)?.context?.underlyingError as? RedisError {
            self = error
        } else {
            let name = (failure as? EncodingError)?.context?.codingPath.first?.stringValue
            let subject = name.map { "The field \(quoted($0)) of \(type)" } ?? "\(type)"
            self.init(
                .encodingFailed,
                "\(subject) cannot be written: \(Swift.type(of: failure)) was thrown while it was encoded.",
                cause: failure
            )
        }
    }

    /// The error for a property that could not be encoded; `property` is `nil` if it is encoded piece by piece.
    init(encodingField name: String, of type: any Any.Type, as property: (any Any.Type)?, failure: any Error) {
        var reason = "\(Swift.type(of: failure)) was thrown while it was encoded"
        if case .invalidValue(let value, let context) = failure as? EncodingError {
            let place = placeText(context.codingPath[...])
            if isNotFinite(value) {
                reason = "\(place)a number is not finite, which JSON has no form for"
            } else if value is JSONNode {
                reason = "\(place)it is encoded as several kinds of value at once"
            } else {
                reason = "\(place)a \(Swift.type(of: value)) with this value has no form in JSON"
            }
        }
        let kind = property.map { " (\($0))" } ?? ""
        self.init(
            .encodingFailed,
            "The field \(quoted(name))\(kind) of \(type) cannot be written: \(reason).",
            cause: failure
        )
    }
}

/// A name in the form for error messages: short, on one line, in quotation marks.
func quoted(_ name: String) -> String {
    var text = ""
    for scalar in name.unicodeScalars.prefix(64) {
        text.unicodeScalars.append(scalar.properties.generalCategory == .control ? "?" : scalar)
    }
    return "\"\(text)\(text.unicodeScalars.count < name.unicodeScalars.count ? "…" : "")\""
}

extension DecodingError {
    fileprivate var context: Context {
        switch self {
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .keyNotFound(_, let context),
            .dataCorrupted(let context):
            context
        @unknown default: Context(codingPath: [], debugDescription: "")
        }
    }

    /// Whether the failure is about the whole field, and not about a value inside it.
    fileprivate var isAboutWhole: Bool {
        if case .keyNotFound = self { return false }
        return context.codingPath.isEmpty
    }

    fileprivate func reason(path: ArraySlice<any CodingKey>) -> String {
        let place = placeText(path)
        switch self {
        case .typeMismatch(let type, _): return "\(place)expected \(jsonName(of: type))"
        case .valueNotFound(let type, _): return "\(place)expected \(jsonName(of: type)), found null"
        case .keyNotFound(let key, _): return "\(place)the key \(shown(key)) is missing"
        case .dataCorrupted: return "\(place)the value is not one of its type"
        @unknown default: return "\(place)the value does not fit"
        }
    }
}

extension EncodingError {
    fileprivate var context: Context? {
        if case .invalidValue(_, let context) = self { context } else { nil }
    }
}

/// A place inside a field, with a colon at the end: `at lines[2].price: `.
private func placeText(_ path: ArraySlice<any CodingKey>) -> String {
    guard !path.isEmpty else { return "" }
    var text = ""
    for key in path.prefix(12) {
        if let index = key.intValue {
            text += "[\(index)]"
        } else {
            text += (text.isEmpty ? "" : ".") + shown(key)
        }
    }
    return "at \(text)\(path.count > 12 ? "…" : ""): "
}

/// The key, if it is a case of an enum, as the keys of types are; otherwise `*`, since the keys of dictionaries are the
/// user's data.
private func shown(_ key: any CodingKey) -> String {
    let mirror = Mirror(reflecting: key)
    return mirror.displayStyle == .enum && mirror.children.isEmpty ? key.stringValue : "*"
}

private func jsonName(of type: any Any.Type) -> String {
    if type == [String: Any].self { return "an object" }
    if type == [Any].self { return "an array" }
    return "\(type)"
}

private func isNotFinite(_ value: Any) -> Bool {
    switch value {
    case let value as Double: !value.isFinite
    case let value as Float: !value.isFinite
    default: false
    }
}

private func expectation(of type: any Any.Type) -> String {
    if type is any FixedWidthInteger.Type { return "expected a whole number within its range" }
    if type is any BinaryFloatingPoint.Type { return "expected a number" }
    if type == Bool.self { return "expected true or false" }
    if let expectation = foundationExpectation(of: type) { return expectation }
    if type is any RawRepresentable.Type { return "expected one of its raw values" }
    return "expected JSON of this type, or the text of one"
}
