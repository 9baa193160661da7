import HTTPTypes
import NIOCore
import RecommendationCore
import Serving
import Testing

@testable import HTTPAPI

@Suite("Calls in progress")
struct CallLimitTests {
    @Test("every route has a class: by its scope, unless it does much at once")
    func classes() {
        var routes: [RouteClass: Set<String>] = [:]
        for role in [HTTPServer.Role.public, .admin] {
            for route in role.routes(Canned().useCases, wallClock: { Timestamp(seconds: 0) }) {
                routes[route.callClass, default: []].insert("\(route.method.rawValue) \(route.path.text)")
                if route.callClass == .read { #expect(route.scope == .read) }
                if route.callClass == .write { #expect(route.scope == .write) }
            }
        }
        #expect(
            routes[.bulk] == [
                "POST /v1/recommendations:batch", "POST /v1/feedback:batch", "DELETE /v1/users/{user_id}",
                "POST /v1/admin/policies/{version}:dry_run", "POST /v1/admin/precompute", "GET /v1/admin/quality",
                "GET /v1/admin/experiments/{experiment_id}/results",
            ]
        )
        #expect(routes[.operations] == ["GET /livez", "GET /readyz", "GET /metrics", "GET /v1/openapi.json"])
        #expect(routes[.admin]?.contains("POST /v1/admin/self-check/questions") == true)
    }

    @Test("one more than its class may have is refused at once, before its body, and no other class hears of it")
    func refused() async throws {
        let gate = Gate()
        let canned = Canned()
        let useCases = canned.recommending { await gate.wait() }
        let limits = HTTPConfiguration.Limits.calls { $0.read = 2 }
        try await withServers(useCases, limits: limits) { ports in
            defer { gate.open() }
            let held = (0..<2).map { _ in Task { try await request(ports.public, "GET", "/v1/recommendations/u1") } }
            await poll { canned.last.recommendations.count == 2 }
            let refused = try await request(ports.public, "GET", "/v1/recommendations/u1")
            #expect(refused.status == 503)
            #expect(refused["retry-after"] == "1")
            #expect(refused["content-type"] == "application/problem+json")
            #expect(try refused.json["code"]?.text == "overloaded")
            // Of the body nothing is sent: there is an answer all the same.
            let early = try await onWire(ports.public) { wire in
                try wire.send(
                    "POST /v1/recommendations/u1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                        + "Content-Length: 100\r\n\r\n"
                )
                return try wire.reply()
            }
            #expect(early.status == 503)
            #expect(canned.last.recommendations.count == 2, "nothing was done for who was refused")
            let feedback = #"{"event_id":"e1","user_id":"u1","item_id":"i1","type":"view"}"#
            #expect(try await send(ports.public, "POST", "/v1/feedback", feedback).status == 200)
            #expect(
                try await send(ports.public, "POST", "/v1/recommendations:batch", #"{"requests":[{"user_id":"u1"}]}"#)
                    .status == 200
            )
            for path in ["/livez", "/readyz", "/metrics", "/v1/admin/models"] {
                #expect(try await request(ports.admin, "GET", path).status == 200, "\(path)")
            }
            gate.open()
            for task in held { #expect(try await task.value.status == 200) }
            #expect(try await request(ports.public, "GET", "/v1/recommendations/u1").status == 200)
        }
    }

    @Test("who is refused for another reason gives the place back")
    func others() async throws {
        let limits = HTTPConfiguration.Limits.calls { $0.read = 1 }
        try await withServers(authentication: true, limits: limits) { ports in
            let key = [("Authorization", "Bearer reader")]
            for _ in 0..<3 {
                let unknown = try await request(ports.public, "GET", "/v1/recommendations/u1")
                #expect(unknown.status == 401)
                for (query, status) in [("limit=0", 422), ("what=0", 400)] {
                    let path = "/v1/recommendations/u1?\(query)"
                    let refused = try await request(ports.public, "GET", path, headers: key)
                    #expect(refused.status == status)
                }
            }
            let read = try await request(ports.public, "GET", "/v1/recommendations/u1", headers: key)
            #expect(read.status == 200)
        }
    }

    @Test("a body on its way takes no place; when it is there, its call needs one")
    func slowBody() async throws {
        let limits = HTTPConfiguration.Limits.calls { $0.write = 1 }
        let feedback = #"{"event_id":"e1","user_id":"u1","item_id":"i1","type":"view"}"#
        let head = "POST /v1/feedback HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        try await withServers(limits: limits) { ports in
            let answers = try await onWire(ports.public) { wire in
                let slow = try (0..<4).map { _ in try Wire(port: ports.public) }
                for each in slow {
                    try each.send(head + "Expect: 100-continue\r\nContent-Length: \(feedback.utf8.count)\r\n\r\n")
                }
                // Its head was read: the body is asked for.
                let asked = try slow.map { try $0.reply().status }
                try wire.send(head + "Content-Length: \(feedback.utf8.count)\r\n\r\n" + feedback)
                let other = try wire.reply().status
                for each in slow { try each.send(feedback) }
                return asked + [other] + (try slow.map { try $0.reply().status })
            }
            #expect(answers.prefix(5) == [100, 100, 100, 100, 200])
            #expect(answers.dropFirst(5).allSatisfy { [200, 503].contains($0) }, "\(answers)")
        }
    }

    @Test("work that was late keeps its place until it ends")
    func late() async throws {
        let gate = Gate()
        let useCases = Canned().recommending { await gate.wait() }
        var limits = HTTPConfiguration.Limits.calls { $0.read = 1 }
        limits.deadline = .milliseconds(100)
        try await withServers(useCases, limits: limits) { ports in
            defer { gate.open() }
            #expect(try await request(ports.public, "GET", "/v1/recommendations/u1").status == 504)
            #expect(try await request(ports.public, "GET", "/v1/recommendations/u1").status == 503)
            gate.open()
            try await eventually {
                try await request(ports.public, "GET", "/v1/recommendations/u1").status == 200
            }
        }
    }

    @Test("L1 hits are answered on the event loop while no read has a place")
    func fastLane() async throws {
        let gate = Gate()
        let (begun, begins) = AsyncStream<Void>.makeStream()
        let hot = try Hot(slowly: {
            begins.yield()
            await gate.wait()
        })
        let limits = HTTPConfiguration.Limits.calls { $0.read = 1 }
        try await withServers(hot.useCases(), limits: limits) { ports in
            defer { gate.open() }
            let held = Task { try await request(ports.public, "GET", "/v1/recommendations/cold1") }
            for await _ in begun { break }
            let refused = try await request(ports.public, "GET", "/v1/recommendations/cold2")
            #expect(refused.status == 503)
            for number in 0..<20 {
                let hit = try await request(ports.public, "GET", "/v1/recommendations/u\(number)")
                #expect(hit.status == 200)
            }
            gate.open()
            let late = try await held.value
            #expect(late.status == 200)
            #expect(hot.answered.fast == 20)
        }
    }

    private func eventually(_ condition: () async throws -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(60)
        while try await !condition() {
            guard ContinuousClock.now < end else {
                Issue.record("it did not come")
                return
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }
}

extension Canned {
    /// Recommends after something that is waited for.
    fileprivate func recommending(_ slowly: @escaping @Sendable () async -> Void) -> UseCases {
        var useCases = self.useCases
        let answer = useCases.recommend
        useCases.recommend = { request async throws(ServingError) in
            let recommendation = try await answer(request)
            await slowly()
            return recommendation
        }
        return useCases
    }
}

extension HTTPConfiguration.Limits {
    fileprivate static func calls(_ change: (inout CallLimits.Bounds) -> Void) -> Self {
        var limits = Self()
        // This machine may be busy.
        limits.deadline = .seconds(60)
        change(&limits.calls)
        return limits
    }
}
