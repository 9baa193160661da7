/// Path and query of a request, still percent-encoded.
struct RequestTarget: Sendable {
    let path: ArraySlice<UInt8>
    let query: ArraySlice<UInt8>?

    /// - Throws: 400 where the target holds what must be percent-encoded. Bytes that are not UTF-8 have become U+FFFD
    ///   before they get here, so other than ASCII nothing can be taken as it was sent.
    init(_ target: String) throws(Problem) {
        let bytes = Array(target.utf8)
        guard bytes.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "#") }) else {
            throw .malformed("malformed_path", "path and query must be percent-encoded")
        }
        if let mark = bytes.firstIndex(of: UInt8(ascii: "?")) {
            self.path = bytes[..<mark]
            self.query = bytes[(mark + 1)...]
        } else {
            self.path = bytes[...]
            self.query = nil
        }
    }

    /// What a part of a target stands for; nil where a `%` is not followed by two digits, or the result is not UTF-8.
    static func percentDecoded(_ part: ArraySlice<UInt8>) -> String? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(part.count)
        var index = part.startIndex
        while index < part.endIndex {
            let byte = part[index]
            index += 1
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard index + 2 <= part.endIndex, let high = part[index].hexadecimalDigit,
                let low = part[index + 1].hexadecimalDigit
            else { return nil }
            bytes.append(high << 4 | low)
            index += 2
        }
        return String(validating: bytes, as: UTF8.self)
    }
}

/// The parameters of a query: each known, and none twice but those that are lists.
struct QueryParameters: Sendable {
    private var parameters: [(name: String, value: String)] = []
    private var lists: [(name: String, values: [String])] = []

    /// - Parameter lists: Those of `known` whose values are separated by commas, or come under the same name again. A comma that
    ///   belongs to a value is sent as `%2C`.
    init(_ query: ArraySlice<UInt8>?, known: [String], lists: [String] = []) throws(Problem) {
        guard let query, !query.isEmpty else { return }
        var unknown: [String] = []
        for part in query.split(separator: UInt8(ascii: "&"), omittingEmptySubsequences: false) {
            let equals = part.firstIndex(of: UInt8(ascii: "=")) ?? part.endIndex
            guard let name = RequestTarget.percentDecoded(part[..<equals]), !name.isEmpty else { throw Self.malformed }
            if !known.contains(where: { $0.hasSameBytes(as: name) }) {
                guard RequestTarget.percentDecoded(part[equals...].dropFirst()) != nil else { throw Self.malformed }
                unknown.append(name)
            } else if lists.contains(where: { $0.hasSameBytes(as: name) }) {
                try self.append(part[equals...].dropFirst(), to: name)
            } else if self[name] != nil {
                throw .malformed(
                    "duplicate_parameter",
                    "\(name) comes twice",
                    errors: [FieldError(pointer: Pointer(name).string, code: "duplicate_parameter", allowed: nil)]
                )
            } else {
                guard let value = RequestTarget.percentDecoded(part[equals...].dropFirst()) else {
                    throw Self.malformed
                }
                self.parameters.append((name, value))
            }
        }
        guard unknown.isEmpty else { throw .unknownParameters(unknown, allowed: known) }
    }

    private static var malformed: Problem {
        .malformed("malformed_query", "the query is not name=value&name=value, percent-encoded")
    }

    private mutating func append(_ list: ArraySlice<UInt8>, to name: String) throws(Problem) {
        var values: [String] = []
        for part in list.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            guard let value = RequestTarget.percentDecoded(part) else { throw Self.malformed }
            values.append(value)
        }
        if let index = self.lists.firstIndex(where: { name.hasSameBytes(as: $0.name) }) {
            self.lists[index].values += values
        } else {
            self.lists.append((name, values))
        }
    }

    subscript(_ name: String) -> String? {
        self.parameters.first { name.hasSameBytes(as: $0.name) }?.value
    }

    /// The values of a list, in the order they were sent; none where it was not.
    func values(_ name: String) -> [String] {
        self.lists.first { name.hasSameBytes(as: $0.name) }?.values ?? []
    }
}
