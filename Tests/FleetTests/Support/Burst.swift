import Dispatch
import Foundation
import Glibc

/// Many callers at the same moment, each on a connection of its own: their requests are with the nodes before the first
/// answer is read.
struct Burst: Sendable {
    private let sockets: [Int32]

    /// Opens the connections and sends the requests, one of each node after the other.
    static func send(_ target: String, callers: Int, to ports: [Int], key: String) async throws -> Burst {
        let request = Array(
            "GET \(target) HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer \(key)\r\nConnection: close\r\n\r\n"
                .utf8
        )
        return try await Self.blocking {
            var sockets: [Int32] = []
            for _ in 0..<callers { for port in ports { sockets.append(try Self.connect(port)) } }
            for socket in sockets {
                let count = Glibc.send(socket, request, request.count, Int32(MSG_NOSIGNAL))
                guard count == request.count else { throw RawHTTP.Failed(description: "cannot send: \(errno)") }
            }
            return Burst(sockets: sockets)
        }
    }

    /// All answers, in the order in which requests were sent.
    func answers() async throws -> [RawHTTP.Response] {
        try await Self.blocking {
            defer { for socket in self.sockets { close(socket) } }
            return try self.sockets.map { socket in
                var bytes: [UInt8] = []
                var chunk = [UInt8](repeating: 0, count: 65_536)
                while true {
                    let count = recv(socket, &chunk, chunk.count, 0)
                    guard count >= 0 else { throw RawHTTP.Failed(description: "no answer: \(errno)") }
                    guard count > 0 else { return try RawHTTP.parse(bytes) }
                    bytes += chunk[..<count]
                }
            }
        }
    }

    /// Every caller goes away, whatever it was to hear: its connection is reset.
    func abandon() {
        for socket in self.sockets {
            var atOnce = linger(l_onoff: 1, l_linger: 0)
            setsockopt(socket, SOL_SOCKET, SO_LINGER, &atOnce, socklen_t(MemoryLayout<linger>.size))
            close(socket)
        }
    }

    private static func connect(_ port: Int) throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard descriptor >= 0, status == 0 else {
            throw RawHTTP.Failed(description: "cannot connect to \(port): \(errno)")
        }
        return descriptor
    }

    private static func blocking<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value
    {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(with: Result { try body() }) }
        }
    }
}
