import Testing

@testable import HTTPAPI

@Suite("Scan of a request's head")
struct RequestScanTests {
    private static func scan(_ text: String) -> RequestScan.Outcome {
        Array(text.utf8).withUnsafeBytes(RequestScan.scan)
    }

    private static func complete(_ text: String) throws -> RequestScan {
        guard case .complete(let scan) = Self.scan(text) else { throw NotComplete() }
        return scan
    }

    private struct NotComplete: Error {}

    @Test("a head says its method, where its target stands, its length and its body's")
    func parts() throws {
        let text = "GET /a?b HTTP/1.1\r\nHost: x\r\nauthorization:  Bearer k \r\nX-Request-Id: r\r\n\r\nrest"
        let scan = try Self.complete(text)
        let bytes = Array(text.utf8)
        #expect(scan.method == .get)
        #expect(String(decoding: bytes[scan.target], as: UTF8.self) == "/a?b")
        #expect(scan.headLength == bytes.count - 4)
        #expect(scan.bodyLength == 0)
        #expect(scan.isPlain)
        #expect(!scan.isLast)
        #expect(scan.authorization.map { String(decoding: bytes[$0], as: UTF8.self) } == "Bearer k")
        #expect(scan.requestID.map { String(decoding: bytes[$0], as: UTF8.self) } == "r")
        let post = try Self.complete("POST / HTTP/1.1\r\nContent-Length: 12\r\n\r\n")
        #expect(post.bodyLength == 12)
        #expect(!post.isPlain)
        #expect(try Self.complete("GET / HTTP/1.1\r\nConnection: Close\r\n\r\n").isLast)
        #expect(try Self.complete("GET / HTTP/1.1\r\nConnection: Keep-Alive\r\n\r\n").isPlain)
        #expect(try !Self.complete("GET / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n").isPlain)
    }

    @Test("every beginning of a head is incomplete")
    func beginnings() {
        let text = "HEAD /v1 HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n"
        for length in 1..<text.utf8.count {
            let outcome = Array(text.utf8.prefix(length)).withUnsafeBytes(RequestScan.scan)
            #expect(outcome == .incomplete, "\(length)")
        }
    }

    @Test(
        "what may end elsewhere than it seems is left to the parser",
        arguments: [
            "\r\nGET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\n\n", "GET / HTTP/1.1\r\nA: b\n\r\n",
            "GET  / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/2.0\r\n\r\n", "GET /\r\n\r\n", "CONNECT x:1 HTTP/1.1\r\n\r\n",
            "get / HTTP/1.1\r\n\r\n", "GET /\u{E9} HTTP/1.1\r\n\r\n", "GET /a b HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\n folded\r\n\r\n", "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
            "GET / HTTP/1.1\r\nA : b\r\n\r\n",
            "GET / HTTP/1.1\r\n: b\r\n\r\n", "GET / HTTP/1.1\r\nA\r\n\r\n", "GET / HTTP/1.1\r\nA: \u{1}\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\ntransfer-encoding: identity\r\n\r\n", "GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n",
            "GET / HTTP/1.1\r\nConnection: upgrade\r\n\r\n", "GET / HTTP/1.1\r\nConnection: keep-alive, close\r\n\r\n",
            "GET / HTTP/1.1\r\nProxy-Connection: close\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: \r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n",
            "GET / HTTP/1.1\r\n" + (0..<70).map { "A\($0): b\r\n" }.joined() + "\r\n",
            "GET / HTTP/1.1\r\nA: " + String(repeating: "x", count: 20_000) + "\r\n\r\n",
        ]
    )
    func opaque(_ text: String) {
        #expect(Self.scan(text) == .opaque)
    }

    @Test("however a stream is cut, requests end where they end")
    func framing() {
        let requests = [
            "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n", "POST /2 HTTP/1.1\r\nContent-Length: 5\r\n\r\nGET /",
            "HEAD /3 HTTP/1.1\r\n\r\n", "POST /4 HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            "PUT /5 HTTP/1.1\r\nContent-Length: 24\r\n\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n",
        ]
        let stream = Array(requests.joined().utf8)
        let ends = requests.indices.map { requests[...$0].joined().utf8.count }
        var generator = SeededGenerator(state: 3)
        for _ in 0..<2_000 {
            var framing = RequestFraming()
            var position = 0
            var boundaries: [Int] = []
            while position < stream.count {
                let cut = min(stream.count, position + Int.random(in: 1...40, using: &generator))
                while position < cut {
                    let length = stream[position..<cut].withUnsafeBytes { bytes in
                        switch framing.next(bytes) {
                        case .pass(let length): length
                        case .request(let scan): framing.pass(scan, of: bytes.count)
                        }
                    }
                    #expect(length > 0)
                    position += length
                    if framing.isAtBoundary { boundaries.append(position) }
                }
            }
            #expect(boundaries == ends)
        }
    }

    @Test("after a request that hides its end nothing is a boundary")
    func unframed() {
        let stream = Array("GET / HTTP/1.1\r\nUpgrade: x\r\n\r\nGET /2 HTTP/1.1\r\n\r\n".utf8)
        var framing = RequestFraming()
        #expect(stream.withUnsafeBytes { framing.next($0) } == .pass(stream.count))
        #expect(Array("GET /3 HTTP/1.1\r\n\r\n".utf8).withUnsafeBytes { framing.next($0) } == .pass(19))
        #expect(!framing.isAtBoundary)
    }
}
