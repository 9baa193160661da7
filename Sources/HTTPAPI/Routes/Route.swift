import HTTPTypes
import NIOCore
import RecommendationCore
import Serving

/// A method on a path, and what answers it.
struct Route: Sendable {
    let method: HTTPRequest.Method
    let path: PathTemplate
    /// What the caller's key must allow; nil: no key is asked for.
    let scope: Scope?
    /// The query's parameters; any other is refused.
    let parameters: [String]
    /// Those of them that are lists.
    let lists: [String]
    /// The media types of the body it takes; none: it takes no body.
    let bodyTypes: [MediaType]
    /// Whether a body may be left out, and stands for one without members.
    let mayOmitBody: Bool
    /// What it may take more of than others; nil: nothing.
    let allowance: Allowance?
    /// Whether it does much at once (``RouteClass/bulk``).
    let isBulk: Bool
    let answer: @Sendable (Call) async throws(Problem) -> Answer

    init(
        _ method: HTTPRequest.Method,
        _ path: String,
        scope: Scope?,
        parameters: [String] = [],
        lists: [String] = [],
        takesBody: Bool = false,
        bodyTypes: [MediaType]? = nil,
        mayOmitBody: Bool = false,
        allowance: Allowance? = nil,
        isBulk: Bool = false,
        answer: @escaping @Sendable (Call) async throws(Problem) -> Answer
    ) {
        self.method = method
        self.path = PathTemplate(path)
        self.scope = scope
        self.parameters = parameters
        self.lists = lists
        self.bodyTypes = bodyTypes ?? (takesBody ? [.json] : [])
        self.mayOmitBody = mayOmitBody
        self.allowance = allowance
        self.isBulk = isBulk
        self.answer = answer
    }
}

/// What a route for much at once may take.
struct Allowance: Sendable {
    /// Bytes of a request's body.
    let body: Int
    /// Added to the deadline.
    let time: Duration
}

/// What a body can be. Of a route that takes several, what the `Content-Type` names is in ``Call/bodyType``.
enum MediaType: String, Sendable {
    case json = "application/json"
    /// RFC 7386.
    case mergePatch = "application/merge-patch+json"
    /// JSON documents, one a line.
    case lines = "application/x-ndjson"

    /// Whether a `Content-Type` names it, whatever the parameters.
    func isNamed(by contentType: String) -> Bool {
        let type = contentType.utf8.prefix { $0 != UInt8(ascii: ";") }
        return Substring(type).trimmingSpaces.lowercased() == self.rawValue
    }
}

/// A request that has found its route and may take it.
struct Call: Sendable {
    let principal: Principal
    /// Whether the caller may name other tenants and see nodes.
    let isFleet: Bool
    /// What stands in the path for the template's names, in order, percent-encoded.
    let segments: [ArraySlice<UInt8>]
    let query: QueryParameters
    let headers: HTTPFields
    /// What the body is; nil where the route takes none.
    let bodyType: MediaType?
    let body: ByteBuffer

    /// The id in a path, decoded.
    func segment(_ index: Int) throws(Problem) -> String {
        guard let decoded = RequestTarget.percentDecoded(self.segments[index]) else {
            throw .malformed("malformed_path", "the path is not percent-encoded UTF-8")
        }
        return decoded
    }

    /// The id in a path, validated; `name` is its name in an error.
    func identifier<Entity>(_ index: Int, _ name: String) throws(Problem) -> Identifier<Entity> {
        let text = try self.segment(index)
        var errors = FieldErrors()
        let identifier: Identifier<Entity>? = errors.identifier(text, at: Pointer(name))
        try errors.check()
        guard let identifier else { throw .internalError("an invalid id was not noticed") }
        return identifier
    }

    func json() throws(Problem) -> JSONValue {
        do {
            return try JSONReader.read(Array(self.body.readableBytesView))
        } catch {
            throw Problem(error)
        }
    }
}

/// What a route answers, before the headers that all answers have.
struct Answer: Sendable {
    var status: HTTPResponse.Status = .ok
    var contentType = "application/json"
    var headers: HTTPFields = [:]
    /// Whether caches that many share may keep it, if they ask again before each use.
    var isPublic = false
    var body: ByteBuffer

    static func json(_ body: ByteBuffer) -> Answer { Answer(body: body) }
}

/// A path with names for the segments that differ, for example `/v1/recommendations/{user_id}` or `/v1/users/{user_id}:reset`.
struct PathTemplate: Sendable {
    private enum Segment: Sendable {
        case literal([UInt8])
        /// A parameter, and what follows it in its segment: nothing, or a verb with its colon.
        case parameter(verb: [UInt8])
    }

    /// The template itself: the one name of a route in logs and metrics.
    let text: String
    private let segments: [Segment]

    init(_ text: String) {
        self.text = text
        self.segments = text.utf8.dropFirst().split(separator: UInt8(ascii: "/")).map { part in
            guard part.first == UInt8(ascii: "{") else { return .literal(Array(part)) }
            return .parameter(verb: Array(part.drop { $0 != UInt8(ascii: "}") }.dropFirst()))
        }
    }

    /// The segments that stand for parameters, none of them empty; nil where the path is another. A colon that belongs to an
    /// id that ends like a verb is sent as `%3A`.
    func match(_ path: ArraySlice<UInt8>) -> [ArraySlice<UInt8>]? {
        var parameters: [ArraySlice<UInt8>] = []
        var rest = path
        for segment in self.segments {
            guard rest.popFirst() == UInt8(ascii: "/") else { return nil }
            let part = rest.prefix { $0 != UInt8(ascii: "/") }
            rest = rest[part.endIndex...]
            switch segment {
            case .literal(let bytes):
                guard part.elementsEqual(bytes) else { return nil }
            case .parameter(let verb):
                guard part.count > verb.count, part.suffix(verb.count).elementsEqual(verb) else { return nil }
                parameters.append(part.dropLast(verb.count))
            }
        }
        return rest.isEmpty ? parameters : nil
    }
}

/// All routes of a port.
struct RouteTable: Sendable {
    enum Match {
        case route(Route, [ArraySlice<UInt8>])
        /// The path is known, the method is not; what is allowed there.
        case otherMethods(template: String, allow: String)
        case none
    }

    /// The routes of a path.
    private struct Resource: Sendable {
        let path: PathTemplate
        var routes: [Route]

        var methods: [String] {
            self.routes.flatMap { $0.method == .get ? ["GET", "HEAD"] : [$0.method.rawValue] }
        }
    }

    private var resources: [Resource] = []

    init(_ routes: [Route]) {
        for route in routes {
            if let index = self.resources.firstIndex(where: { $0.path.text == route.path.text }) {
                self.resources[index].routes.append(route)
            } else {
                self.resources.append(Resource(path: route.path, routes: [route]))
            }
        }
    }

    var templates: [String] { self.resources.map(\.path.text) }

    /// The first route that takes the method. A path may be that of several templates: `/v1/users/a:reset` is the reset of `a`
    /// to a POST, and to a GET the user `a:reset`.
    func match(_ method: HTTPRequest.Method, _ path: ArraySlice<UInt8>) -> Match {
        let wanted = method == .head ? .get : method
        var known: String?
        var allowed: [String] = []
        for resource in self.resources {
            guard let parameters = resource.path.match(path) else { continue }
            if let route = resource.routes.first(where: { $0.method == wanted }) { return .route(route, parameters) }
            known = known ?? resource.path.text
            allowed += resource.methods
        }
        return known.map { .otherMethods(template: $0, allow: allowed.joined(separator: ", ")) } ?? .none
    }
}
