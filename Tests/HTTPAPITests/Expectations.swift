import Testing

@testable import HTTPAPI

/// A field error as a test expects it.
struct Wrong: Equatable, Sendable {
    let pointer: String
    let code: String
    let allowed: String?

    static let parameters =
        "surface|limit|explain|category|exclude_category|exclude|exclude_seen|region|locale|cursor"
    static let identifier = "1 to 128 bytes of UTF-8 without control characters"

    init(_ pointer: String, _ code: String, _ allowed: String?) {
        self.pointer = pointer
        self.code = code
        self.allowed = allowed
    }
}

extension Reply {
    /// The document, read by the module's own reader, which has tests of its own.
    var json: JSONValue {
        get throws { try JSONReader.read(self.body) }
    }

    /// Expects a whole problem document, with the headers that go with it.
    func expectProblem(
        _ status: Int,
        _ code: String,
        _ errors: [Wrong] = [],
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        #expect(self.status == status, sourceLocation: sourceLocation)
        #expect(self["content-type"] == "application/problem+json", sourceLocation: sourceLocation)
        #expect(self["cache-control"] == "private, no-store", sourceLocation: sourceLocation)
        let json = try self.json
        #expect(json["code"]?.text == code, sourceLocation: sourceLocation)
        #expect(json["type"]?.text == "urn:vireo:problem:\(code)", sourceLocation: sourceLocation)
        #expect(json["request_id"]?.text == self["x-request-id"], sourceLocation: sourceLocation)
        guard case .integer(Int64(status))? = json["status"] else {
            Issue.record("no status in \(self.text)", sourceLocation: sourceLocation)
            return
        }
        var found: [Wrong] = []
        if case .array(let elements)? = json["errors"] {
            found = elements.map {
                Wrong($0["pointer"]?.text ?? "", $0["code"]?.text ?? "", $0["allowed"]?.text)
            }
        }
        #expect(found == errors, sourceLocation: sourceLocation)
    }
}

extension JSONValue {
    subscript(_ name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    var text: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }
}
