import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore
import RecommendationCore
import Serving

/// From a request to its response: route, key, query, body, use case under its deadline, and then the headers, the log line
/// and the counts that every response has.
///
/// It stands where Hummingbird's router would, which answers a known path with another method by 404, and leaves the bytes
/// of an id to be judged after they have become a `String`.
struct Responder: HTTPResponder {
    typealias Context = CallContext

    let routes: RouteTable
    let authentication: Authentication
    let identity: RequestIdentity
    let deadlines: Deadlines
    let calls: CallLimits
    let rates: RateLimiter?
    let telemetry: RequestTelemetry
    /// Added to the deadline of a change that waits for all nodes.
    let waitTime: Duration
    let maximumBody: Int
    let isStopping: @Sendable () -> Bool

    func respond(to request: Request, context: CallContext) async throws -> Response {
        let start = ContinuousClock.now
        let id = self.identity.id(of: request.headers)
        var template = RequestTelemetry.unmatched
        var path: ArraySlice<UInt8>?
        let outcome: Result<Answer, Problem>
        do {
            outcome = .success(try await self.answer(request, template: &template, path: &path))
        } catch {
            outcome = .failure(error)
        }
        var response: Response
        var cause: String?
        var isShed = false
        switch outcome {
        case .success(let answer):
            response = Self.response(answer, id: id)
        case .failure(let problem):
            cause = problem.cause
            isShed = problem.isShed
            response = Self.response(problem, path: path, id: id)
        }
        if self.isStopping() { response.headers[.connection] = "close" }
        self.telemetry.answered(
            method: request.method,
            template: template,
            status: response.status,
            requestID: id,
            duration: ContinuousClock.now - start,
            cause: cause,
            isShed: isShed
        )
        return request.method == .head ? response.createHeadResponse() : response
    }

    /// - Parameters:
    ///   - template: Becomes the route's, once it is known.
    ///   - path: Becomes the path as it was sent, once it is read.
    private func answer(
        _ request: Request,
        template: inout String,
        path: inout ArraySlice<UInt8>?
    ) async throws(Problem) -> Answer {
        let target = try RequestTarget(request.head.path ?? "")
        path = target.path
        switch self.routes.match(request.method, target.path) {
        case .none:
            throw .notFound
        case .otherMethods(let known, let allow):
            template = known
            throw .methodNotAllowed(allow)
        case .route(let route, let segments):
            template = route.path.text
            let kind = route.callClass
            guard self.calls.enter(kind) else { throw .overloaded(kind) }
            var hasPlace = true
            let call: Call
            let asked: Duration?
            do {
                (call, asked) = try await self.call(request, on: route, segments, query: target.query, &hasPlace)
            } catch {
                if hasPlace { self.calls.leave(kind) }
                throw error
            }
            let waiting = call.query[Waiting.parameter] == nil ? Duration.zero : self.waitTime
            let extra = waiting + (route.allowance?.time ?? .zero)
            return try await self.deadlines.run(within: asked, extra: extra) { () async -> Result<Answer, Problem> in
                // Not before: work goes on when its caller has been answered for being late.
                defer { self.calls.leave(kind) }
                // A read has lists to fall back on while there is time.
                guard route.scope == .read else { return await Self.result(of: call, on: route) }
                let budget = StageBudget(self.deadlines.time(within: asked, extra: extra))
                return await StageBudget.within(budget) { await Self.result(of: call, on: route) }
            }
        }
    }

    private static func result(of call: Call, on route: Route) async -> Result<Answer, Problem> {
        do throws(Problem) {
            return .success(try await route.answer(call))
        } catch {
            return .failure(error)
        }
    }

    /// A request that may take its route, read whole, and how long its caller waits.
    ///
    /// - Parameter hasPlace: Whether the call has a place in its class. It has none while its body comes, which may take long.
    private func call(
        _ request: Request,
        on route: Route,
        _ segments: [ArraySlice<UInt8>],
        query: ArraySlice<UInt8>?,
        _ hasPlace: inout Bool
    ) async throws(Problem) -> (Call, Duration?) {
        let principal = try await self.authentication.principal(of: request.headers, scope: route.scope)
        if let limit = principal.limit, let rates, let time = await rates.key(limit).take() {
            throw .rateLimited(limit.limit, after: time)
        }
        let query = try QueryParameters(query, known: route.parameters, lists: route.lists)
        let asked = try Self.deadline(request.headers)
        var (bodyType, body): (MediaType?, ByteBuffer) = (nil, ByteBuffer())
        if !route.bodyTypes.isEmpty {
            self.calls.leave(route.callClass)
            hasPlace = false
            (bodyType, body) = try await self.body(of: request, for: route)
            guard self.calls.enter(route.callClass) else { throw .overloaded(route.callClass) }
            hasPlace = true
        }
        let call = Call(
            principal: principal,
            isFleet: self.authentication.isFleet(principal),
            segments: segments,
            query: query,
            headers: request.headers,
            bodyType: bodyType,
            body: body
        )
        return (call, asked)
    }

    /// How long the caller waits for the answer; nil: nothing is said of it.
    private static func deadline(_ headers: HTTPFields) throws(Problem) -> Duration? {
        let values = headers[values: .deadline]
        guard let text = values.first else { return nil }
        guard values.count == 1, (1...9).contains(text.utf8.count), let milliseconds = Int64(text), milliseconds > 0,
            text.utf8.allSatisfy({ (0x30...0x39).contains($0) })
        else { throw .malformed("malformed_header", "X-Deadline-Ms is one number of milliseconds, 1 to 999999999") }
        return .milliseconds(milliseconds)
    }

    /// The body and what it is; nil where the route takes none.
    ///
    /// A body of no bytes is none, whatever was said of it: clients name a type for what they do not send.
    private func body(of request: Request, for route: Route) async throws(Problem) -> (MediaType?, ByteBuffer) {
        let maximum = max(self.maximumBody, route.allowance?.body ?? 0)
        guard route.mayOmitBody else {
            let type = try Self.bodyType(of: request.headers, among: route.bodyTypes)
            return (type, try await Self.body(of: request, upTo: maximum))
        }
        let body = try await Self.body(of: request, upTo: maximum)
        guard body.readableBytes > 0 else { return (.json, ByteBuffer(string: "{}")) }
        return (try Self.bodyType(of: request.headers, among: route.bodyTypes), body)
    }

    /// What a body is, among what the route takes.
    private static func bodyType(of headers: HTTPFields, among types: [MediaType]) throws(Problem) -> MediaType {
        guard headers[.contentEncoding].map({ $0.lowercased() == "identity" }) ?? true,
            let name = headers[.contentType], let type = types.first(where: { $0.isNamed(by: name) })
        else { throw .unsupportedMediaType(types) }
        return type
    }

    private static func body(of request: Request, upTo maximum: Int) async throws(Problem) -> ByteBuffer {
        let length = request.headers[.contentLength].flatMap(Int.init)
        if let length, length > maximum { throw .bodyTooLarge(maximum) }
        do {
            return try await request.body.collect(upTo: maximum)
        } catch is NIOTooManyBytesError {
            throw .bodyTooLarge(maximum)
        } catch {
            // The connection broke: the answer will not arrive, but it is counted.
            throw .incompleteBody
        }
    }

    private static func response(_ answer: Answer, id: String) -> Response {
        var headers = answer.headers
        if answer.status != .notModified {
            headers.append(HTTPField(name: .contentType, value: answer.contentType))
        }
        headers.append(answer.isPublic ? Self.askedAgain : Self.notCached)
        headers.append(HTTPField(name: .requestID, value: id))
        return Response(status: answer.status, headers: headers, body: ResponseBody(byteBuffer: answer.body))
    }

    private static func response(_ problem: Problem, path: ArraySlice<UInt8>?, id: String) -> Response {
        let instance = path.flatMap(Self.instance)
        var headers = problem.headers
        headers.append(Self.problemType)
        headers.append(Self.notCached)
        headers.append(HTTPField(name: .requestID, value: id))
        return Response(
            status: problem.status,
            headers: headers,
            body: ResponseBody(byteBuffer: problem.document(instance: instance, requestID: id))
        )
    }

    /// A path of any length can be sent; repeated is what a person would read.
    static func instance(_ path: some Collection<UInt8>) -> String? {
        path.count <= 2_048 ? String(decoding: path, as: UTF8.self) : nil
    }

    static let askedAgain = HTTPField(name: .cacheControl, value: "public, no-cache")
    static let notCached = HTTPField(name: .cacheControl, value: "private, no-store")
    static let problemType = HTTPField(name: .contentType, value: "application/problem+json")
}

/// What Hummingbird hands over beside the request: nothing of it is needed.
struct CallContext: InitializableFromSource {
    init(source: ApplicationRequestContextSource) {}
}

extension Substring {
    /// Without the spaces and tabs around it.
    var trimmingSpaces: Substring {
        var text = self
        while let first = text.utf8.first, first == 0x20 || first == 0x09 { text.removeFirst() }
        while let last = text.utf8.last, last == 0x20 || last == 0x09 { text.removeLast() }
        return text
    }
}
