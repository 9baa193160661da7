import Dispatch
import Foundation
import Glibc

/// An HTTP client of a few lines: the bytes of a request target go out as they are given.
struct RawHTTP: Sendable {
    struct Response: Sendable {
        let status: Int
        let headers: [String: String]
        let body: String

        func json<Value: Decodable>(as type: Value.Type) throws -> Value {
            try JSONDecoder().decode(type, from: Data(self.body.utf8))
        }
    }

    struct Failed: Error, CustomStringConvertible {
        let description: String
    }

    let port: Int
    var key: String?

    func get(_ target: String) async throws -> Response { try await self.send("GET", target) }

    func post(_ target: String, _ body: String) async throws -> Response {
        try await self.send("POST", target, body: body)
    }

    /// - Parameter closes: Whether the request itself asks for the connection's end; such a request is not answered ahead of the
    ///   routes. Without it, all but GET do.
    func send(
        _ method: String,
        _ target: String,
        headers: [(name: String, value: String)] = [],
        body: String? = nil,
        closes: Bool? = nil
    ) async throws -> Response {
        let closes = closes ?? (method != "GET")
        var request = "\(method) \(target) HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        if closes { request += "Connection: close\r\n" }
        for header in headers { request += "\(header.name): \(header.value)\r\n" }
        if let key { request += "Authorization: Bearer \(key)\r\n" }
        if let body { request += "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n" }
        request += "\r\n\(body ?? "")"
        return try Self.parse(try await self.exchange(Array(request.utf8), untilLength: !closes))
    }

    /// Sends bytes and returns everything that comes back until the other side closes, or until one HTTP answer is whole.
    func exchange(_ bytes: [UInt8], timeout: Int = 10, untilLength: Bool = false) async throws -> [UInt8] {
        let port = self.port
        return try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(
                    with: Result {
                        try Self.blockingExchange(bytes, port: port, timeout: timeout, untilLength: untilLength)
                    }
                )
            }
        }
    }

    private static func blockingExchange(
        _ bytes: [UInt8],
        port: Int,
        timeout: Int,
        untilLength: Bool
    ) throws -> [UInt8] {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var limit = timeval(tv_sec: timeout, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { throw Failed(description: "cannot connect to \(port)") }
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { break }
            sent += count
        }
        var answer: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count == 0 { return answer }
            guard count > 0 else {
                // A process that was stopped and goes on.
                if errno == EINTR { continue }
                throw Failed(description: "no answer within \(timeout) s, \(answer.count) bytes so far")
            }
            answer += chunk[..<count]
            if untilLength, Self.isWhole(answer) { return answer }
        }
    }

    /// Whether bytes are an HTTP answer with all of the body whose length it says.
    private static func isWhole(_ bytes: [UInt8]) -> Bool {
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.range(of: "\r\n\r\n") else { return false }
        let name = "content-length:"
        let line = text[..<end.lowerBound].components(separatedBy: "\r\n").first { $0.lowercased().hasPrefix(name) }
        guard let line, let length = Int(line.dropFirst(name.count).trimmingCharacters(in: .whitespaces)) else {
            return false
        }
        return bytes.count - text[..<end.upperBound].utf8.count >= length
    }

    static func parse(_ bytes: [UInt8]) throws -> Response {
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.range(of: "\r\n\r\n") else { throw Failed(description: "no headers: \(text.prefix(80))") }
        var lines = text[..<end.lowerBound].components(separatedBy: "\r\n")
        let status = Int(lines.removeFirst().split(separator: " ")[1]) ?? 0
        var headers: [String: String] = [:]
        for line in lines {
            guard let colon = line.firstIndex(of: ":") else { continue }
            headers[line[..<colon].lowercased()] = line[line.index(after: colon)...].trimmingCharacters(
                in: .whitespaces
            )
        }
        return Response(status: status, headers: headers, body: String(text[end.upperBound...]))
    }
}
