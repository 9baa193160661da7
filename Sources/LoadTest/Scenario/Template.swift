import LoadClient

/// Text with places that differ from request to request: `{user}`, `{item}`, `{event}` and a scenario's own choices.
package struct Template: Sendable, Equatable {
    package enum Place: Sendable, Equatable {
        case user
        case item
        /// An id that no other request of any run has.
        case event
        /// One of the values of a choice, by its index.
        case choice(Int)
    }

    private enum Part: Sendable, Equatable {
        case text(String)
        case place(Place)
    }

    /// How a value is written where it stands.
    package enum Encoding: Sendable, Equatable {
        /// In a path or query: every byte that is not a letter or digit as `%XX`.
        case percent
        /// In a JSON string.
        case json
    }

    private let parts: [Part]
    private let encoding: Encoding

    /// - Parameters:
    ///   - choices: The names of the scenario's choices.
    ///   - encoding: Of what is filled in; the text itself stays as it is.
    /// - Throws: The name in braces that nobody knows.
    package init(_ text: String, choices: [String], encoding: Encoding) throws(UnknownPlace) {
        var parts: [Part] = []
        var rest = Substring(text)
        while let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") {
            let name = String(rest[rest.index(after: open)..<close])
            // JSON has braces of its own: a place is a name between them.
            guard !name.isEmpty, name.utf8.allSatisfy(Self.isNameByte) else {
                parts.append(.text(String(rest[...open])))
                rest = rest[rest.index(after: open)...]
                continue
            }
            let place: Place? =
                switch name {
                case "user": .user
                case "item": .item
                case "event": .event
                default: choices.firstIndex(of: name).map { .choice($0) }
                }
            guard let place else { throw UnknownPlace(name: name) }
            parts.append(.text(String(rest[..<open])))
            parts.append(.place(place))
            rest = rest[rest.index(after: close)...]
        }
        parts.append(.text(String(rest)))
        self.parts = parts.filter { $0 != .text("") }
        self.encoding = encoding
    }

    package struct UnknownPlace: Error {
        package let name: String
    }

    package func filled(_ value: (Place) -> String) -> String {
        var text = ""
        for part in self.parts {
            switch part {
            case .text(let literal): text += literal
            case .place(let place): text += self.encoded(value(place))
            }
        }
        return text
    }

    private func encoded(_ value: String) -> String {
        switch self.encoding {
        case .percent: value.percentEncoded
        // The template has the quotation marks.
        case .json: String(JSONWriter.quoted(value).dropFirst().dropLast())
        }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || byte == UInt8(ascii: "_")
    }
}
