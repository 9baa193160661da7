import Glibc

/// Non-blocking probes of a port of 127.0.0.1.
enum Loopback {
    static func address(port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(truncatingIfNeeded: port)).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    /// Sends `request` on a new connection and returns what comes back, nil when nobody answers.
    ///
    /// - Parameter isWhole: Whether what has come is enough; without it the first bytes are.
    static func exchange(
        port: Int,
        request: String,
        patience: Duration,
        isWhole: ([UInt8]) -> Bool = { _ in true }
    ) async -> String? {
        let kind = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
        let descriptor = socket(AF_INET, Int32(kind), 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var target = address(port: port)
        let status = withUnsafePointer(to: &target) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 || errno == EINPROGRESS else { return nil }

        let limit = ContinuousClock.now + patience
        guard await ready(descriptor, for: Int16(POLLOUT), until: limit) else { return nil }
        let bytes = Array(request.utf8)
        guard send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else { return nil }
        var answer: [UInt8] = []
        repeat {
            guard await ready(descriptor, for: Int16(POLLIN), until: limit) else { return nil }
            var part = [UInt8](repeating: 0, count: 4_096)
            let count = recv(descriptor, &part, part.count, 0)
            guard count > 0 else { return nil }
            answer += part[..<count]
        } while !isWhole(answer)
        return String(decoding: answer, as: UTF8.self)
    }

    private static func ready(_ descriptor: Int32, for events: Int16, until limit: ContinuousClock.Instant) async
        -> Bool
    {
        var entry = pollfd(fd: descriptor, events: events, revents: 0)
        while poll(&entry, 1, 0) == 0 {
            guard ContinuousClock.now < limit, (try? await Task.sleep(for: .milliseconds(1))) != nil else {
                return false
            }
        }
        return entry.revents & events != 0
    }
}
