import HTTPTypes
import Testing

@testable import HTTPAPI

@Suite("Request target")
struct RequestTargetTests {
    @Test(
        "a part is decoded byte for byte",
        arguments: [
            ("u1", [0x75, 0x31]), ("a%2Fb", [0x61, 0x2F, 0x62]), ("%7Bx%7d", [0x7B, 0x78, 0x7D]),
            ("*|+", [0x2A, 0x7C, 0x2B]),
            ("%C3%A9", [0xC3, 0xA9]), ("e%CC%81", [0x65, 0xCC, 0x81]), ("%00", [0]), ("", []),
        ] as [(String, [UInt8])]
    )
    func decodes(_ part: String, _ expected: [UInt8]) {
        #expect(RequestTarget.percentDecoded(Array(part.utf8)[...]).map { Array($0.utf8) } == expected)
    }

    @Test(
        "what is not percent-encoded UTF-8 is not decoded",
        arguments: ["%", "%4", "%4g", "a%", "%FF", "%C3", "%ED%A0%80"]
    )
    func refuses(_ part: String) {
        #expect(RequestTarget.percentDecoded(Array(part.utf8)[...]) == nil)
    }

    @Test("a target of other than visible ASCII is refused", arguments: ["/é", "/\u{FFFD}", "/a b", "/a#b"])
    func ascii(_ target: String) {
        #expect(throws: Problem.self) { try RequestTarget(target) }
    }

    private static func query(_ text: String) throws(Problem) -> QueryParameters {
        try QueryParameters(Array(text.utf8)[...], known: ["limit", "surface"])
    }

    @Test("a query gives its parameters")
    func parameters() throws {
        let query = try Self.query("limit=5&%73urface=a%26b%3D")
        #expect(query["limit"] == "5")
        #expect(query["surface"] == "a&b=")
        #expect(try Self.query("limit")["limit"] == "")
        #expect(try Self.query("limit=a=b")["limit"] == "a=b")
        #expect(try Self.query("")["limit"] == nil)
    }

    @Test(
        "a bad query is refused",
        arguments: [
            ("limit=%zz", "malformed_query", []), ("limit=%FF", "malformed_query", []), ("=1", "malformed_query", []),
            ("&limit=1", "malformed_query", []), ("limit=1&", "malformed_query", []),
            ("limit=1&limit=1", "duplicate_parameter", ["#/limit"]),
            ("limit=1&%6Cimit=2", "duplicate_parameter", ["#/limit"]),
            ("cursor=1&a%2Fb=2&limit=1", "unknown_parameter", ["#/cursor", "#/a~1b"]),
            ("Limit=1", "unknown_parameter", ["#/Limit"]),
        ] as [(String, String, [String])]
    )
    func badQueries(_ text: String, _ code: String, _ pointers: [String]) {
        let problem = #expect(throws: Problem.self) { try Self.query(text) }
        #expect(problem?.status == .badRequest)
        #expect(problem?.code == code)
        #expect(problem?.errors.map(\.pointer) == pointers)
    }
}

@Suite("Path template")
struct PathTemplateTests {
    private static func match(_ template: String, _ path: String) -> [String]? {
        PathTemplate(template).match(Array(path.utf8)[...])?.map { String(decoding: $0, as: UTF8.self) }
    }

    @Test("a path matches whole or not at all")
    func matches() {
        #expect(Self.match("/v1/feedback", "/v1/feedback") == [])
        #expect(Self.match("/v1/recommendations/{user_id}", "/v1/recommendations/a%2Fb") == ["a%2Fb"])
        for path in [
            "", "/", "v1/feedback", "/v1", "/v1/feedback/", "/v1/feedbac", "/v1/feedbacks", "//v1/feedback",
            "/V1/feedback",
        ] {
            #expect(Self.match("/v1/feedback", path) == nil, "\(path)")
        }
        for path in ["/v1/recommendations", "/v1/recommendations/", "/v1/recommendations/a/b", "/v1/recommendations//"]
        {
            #expect(Self.match("/v1/recommendations/{user_id}", path) == nil, "\(path)")
        }
    }

    @Test("a name may be followed by a verb, which is no part of it")
    func verbs() {
        let template = "/v1/admin/policies/{version}:activate"
        #expect(Self.match(template, "/v1/admin/policies/p8:activate") == ["p8"])
        #expect(Self.match(template, "/v1/admin/policies/a:activate:activate") == ["a:activate"])
        for path in [
            "/v1/admin/policies/p8", "/v1/admin/policies/:activate", "/v1/admin/policies/p8:rollback",
            "/v1/admin/policies/p8%3Aactivate", "/v1/admin/policies/activate", "/v1/admin/policies/p8:activate/",
        ] {
            #expect(Self.match(template, path) == nil, "\(path)")
        }
        #expect(Self.match("/v1/users/{user_id}", "/v1/users/u1:reset") == ["u1:reset"])
    }
}
