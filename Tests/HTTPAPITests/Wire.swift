import Glibc
import NIOPosix

/// A blocking client socket: what a test sends goes out as it is, and what comes back is read by hand.
final class Wire {
    private let descriptor: Int32
    private var received: [UInt8] = []

    init(port: Int) throws {
        self.descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard self.descriptor >= 0 else { throw WireError.system(errno) }
        // A server that never answers is a failed test, not one that hangs.
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(self.descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(self.descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw WireError.system(errno) }
    }

    deinit { close(self.descriptor) }

    func send(_ text: String) throws { try self.send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(self.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw WireError.system(errno) }
            sent += count
        }
    }

    /// Ends this side.
    func shutdownOutput() { shutdown(self.descriptor, Int32(SHUT_WR)) }

    /// The next answer.
    ///
    /// - Parameter hasBody: False for the answer to HEAD, whose length is of a body that does not come.
    func reply(hasBody: Bool = true) throws -> Reply {
        while true {
            if let reply = try self.takeReply(hasBody: hasBody) { return reply }
            guard try self.receive() else { throw WireError.ended(String(decoding: self.received, as: UTF8.self)) }
        }
    }

    /// The next answer, if it begins to come within some milliseconds.
    func replyIfAny(within milliseconds: Int32) throws -> Reply? {
        var waiting = pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0)
        guard Glibc.poll(&waiting, 1, milliseconds) > 0 else { return nil }
        return try self.reply()
    }

    /// What comes until the server closes.
    func rest() throws -> [UInt8] {
        while try self.receive() {}
        defer { self.received = [] }
        return self.received
    }

    private func receive() throws -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let count = chunk.withUnsafeMutableBytes { recv(self.descriptor, $0.baseAddress, $0.count, 0) }
        guard count >= 0 else { throw WireError.system(errno) }
        self.received += chunk[..<count]
        return count > 0
    }

    private func takeReply(hasBody: Bool) throws -> Reply? {
        let text = String(decoding: self.received, as: UTF8.self)
        guard let end = text.utf8.firstRange(of: "\r\n\r\n".utf8) else { return nil }
        let headLength = text.utf8.distance(from: text.startIndex, to: end.upperBound)
        let lines = text[..<end.lowerBound].split(separator: "\r\n", omittingEmptySubsequences: false)
        let status = lines[0].split(separator: " ")
        var reply = Reply(status: Int(status[1])!, headers: [], body: [])
        reply.head = String(text[..<end.upperBound])
        for line in lines.dropFirst() {
            let colon = line.firstIndex(of: ":")!
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            reply.headers.append((line[..<colon].lowercased(), String(value)))
        }
        let length = hasBody ? reply["content-length"].flatMap { Int($0) } ?? 0 : 0
        guard self.received.count >= headLength + length else { return nil }
        reply.body = Array(self.received[headLength..<headLength + length])
        self.received.removeFirst(headLength + length)
        return reply
    }
}

enum WireError: Error {
    case system(Int32)
    /// The server closed before there was an answer; what there was.
    case ended(String)
}

struct Reply: Sendable {
    /// As it came, the empty line included.
    var head = ""
    var status: Int
    var headers: [(name: String, value: String)]
    var body: [UInt8]

    var text: String { String(decoding: self.body, as: UTF8.self) }

    subscript(_ name: String) -> String? { self.headers.first { $0.name == name }?.value }
}

private let threads: NIOThreadPool = {
    let pool = NIOThreadPool(numberOfThreads: 32)
    pool.start()
    return pool
}()

/// Talks to a port on a thread that may block.
func onWire<Value: Sendable>(_ port: Int, _ body: @escaping @Sendable (Wire) throws -> Value) async throws -> Value {
    try await threads.runIfActive { try body(Wire(port: port)) }
}

/// One request on a connection of its own.
func request(
    _ port: Int,
    _ method: String,
    _ target: String,
    headers: [(String, String)] = [],
    body: String? = nil
) async throws -> Reply {
    try await onWire(port) { wire in
        var head = "\(method) \(target) HTTP/1.1\r\nHost: test\r\n"
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        if let body { head += "Content-Length: \(body.utf8.count)\r\n" }
        try wire.send(head + "\r\n" + (body ?? ""))
        return try wire.reply(hasBody: method != "HEAD")
    }
}

/// A request with a JSON body.
func send(
    _ port: Int,
    _ method: String,
    _ target: String,
    _ json: String,
    headers: [(String, String)] = []
) async throws -> Reply {
    try await request(port, method, target, headers: headers + [("Content-Type", "application/json")], body: json)
}
