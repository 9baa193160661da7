import HTTPTypes
import RecommendationCore
import Testing

@testable import HTTPAPI

/// `deploy/openapi.json` says what the ports answer: every route, and nothing else.
@Suite("OpenAPI document")
struct OpenAPITests {
    /// What can be said of a route in both places.
    struct Described: Hashable, CustomStringConvertible {
        var isAdmin: Bool
        var method: String
        var path: String
        var scope: String?
        var pathParameters: [String]
        var queryParameters: Set<String>
        var bodyTypes: Set<String>

        var description: String {
            "\(self.method) \(self.path) \(self.isAdmin ? "admin" : "public") scope \(self.scope ?? "none") "
                + "path \(self.pathParameters) query \(self.queryParameters.sorted()) body \(self.bodyTypes.sorted())"
        }
    }

    @Test("every route is in the document with its parameters, and the document has no other")
    func routes() async throws {
        let document = try await Self.document()
        let described = Set(try Self.described(in: document))
        var answered: Set<Described> = []
        for role in [HTTPServer.Role.public, .admin] {
            for route in role.routes(Canned().useCases, wallClock: { Timestamp(seconds: 0) }) {
                answered.insert(
                    Described(
                        isAdmin: role == .admin,
                        method: route.method.rawValue,
                        path: route.path.text,
                        scope: route.scope?.rawValue,
                        pathParameters: Self.names(in: route.path.text),
                        queryParameters: Set(route.parameters),
                        bodyTypes: Set(route.bodyTypes.map(\.rawValue))
                    )
                )
            }
        }
        #expect(answered.subtracting(described).isEmpty, "not in deploy/openapi.json, or otherwise")
        #expect(described.subtracting(answered).isEmpty, "in deploy/openapi.json only, or otherwise")
    }

    @Test("every reference in the document leads somewhere, and every component is referred to")
    func references() async throws {
        let document = try await Self.document()
        var referred: Set<String> = []
        Self.visit(document) { value in
            if case .string(let target)? = value["$ref"] { referred.insert(target) }
        }
        var defined: Set<String> = []
        for kind in ["schemas", "responses", "headers"] {
            for member in document["components"]?[kind]?.members ?? [] {
                defined.insert("#/components/\(kind)/\(member.name)")
            }
        }
        #expect(referred.subtracting(defined).isEmpty)
        #expect(defined.subtracting(referred).isEmpty)
    }

    @Test("operations have ids of their own, and problem documents for what can go wrong with them")
    func operations() async throws {
        let document = try await Self.document()
        var ids: Set<String> = []
        for (path, method, operation) in Self.operations(in: document) {
            guard case .string(let id)? = operation["operationId"] else {
                Issue.record("\(method) \(path) has no operationId")
                continue
            }
            #expect(ids.insert(id).inserted, "\(id)")
            let statuses = Set(operation["responses"]?.members.map(\.name) ?? [])
            var wanted: Set<String> = ["400", "404", "405", "500", "503", "504"]
            let security = operation["security"]?.elements ?? []
            if !security.isEmpty { wanted.insert("401") }
            if security.contains(where: { $0["key"] != nil }) { wanted.insert("403") }
            if operation["requestBody"] != nil { wanted.formUnion(["413", "415", "422"]) }
            #expect(wanted.subtracting(statuses).isEmpty, "\(id)")
            #expect(statuses.contains { $0.hasPrefix("2") }, "\(id)")
        }
        #expect(document["openapi"]?.text == "3.1.0")
    }

    /// The document as it is served.
    private static func document() async throws -> JSONValue {
        try await withServers(authentication: true) { ports in
            let reply = try await request(ports.admin, "GET", "/v1/openapi.json")
            #expect(reply.status == 200)
            #expect(reply["content-type"] == "application/json")
            return try JSONReader.read(reply.body, maximumDepth: 32)
        }
    }

    private static func described(in document: JSONValue) throws -> [Described] {
        try self.operations(in: document).map { path, method, operation in
            let parameters = try (operation["parameters"]?.elements ?? []).map { parameter in
                (name: try #require(parameter["name"]?.text), place: try #require(parameter["in"]?.text))
            }
            var scope: String?
            for key in (operation["security"]?.elements ?? []).compactMap({ $0["key"] }) {
                scope = try #require(key.elements.first?.text)
            }
            return Described(
                isAdmin: document["paths"]?[path]?["servers"] != nil,
                method: method.uppercased(),
                path: path,
                scope: scope,
                pathParameters: parameters.filter { $0.place == "path" }.map(\.name),
                queryParameters: Set(parameters.filter { $0.place == "query" }.map(\.name)),
                bodyTypes: Set((operation["requestBody"]?["content"]?.members ?? []).map(\.name))
            )
        }
    }

    private static func operations(in document: JSONValue) -> [(path: String, method: String, operation: JSONValue)] {
        let methods = ["get", "put", "post", "delete", "patch", "head", "options"]
        return (document["paths"]?.members ?? []).flatMap { path in
            path.value.members.filter { methods.contains($0.name) }.map { (path.name, $0.name, $0.value) }
        }
    }

    private static func names(in template: String) -> [String] {
        template.split(separator: "{").dropFirst().compactMap { $0.split(separator: "}").first.map(String.init) }
    }

    private static func visit(_ value: JSONValue, _ body: (JSONValue) -> Void) {
        body(value)
        for member in value.members { self.visit(member.value, body) }
        for element in value.elements { self.visit(element, body) }
    }
}

extension JSONValue {
    fileprivate var members: [JSONMember] {
        if case .object(let members) = self { return members }
        return []
    }

    fileprivate var elements: [JSONValue] {
        if case .array(let elements) = self { return elements }
        return []
    }
}
