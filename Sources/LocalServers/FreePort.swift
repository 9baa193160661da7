import Glibc
import Synchronization

/// Chooses loopback ports.
package enum FreePort {
    /// Below the ports that Linux gives to outgoing connections (32,768 and up): of those, any may be taken by a client between
    /// the choice and its use.
    private static let range: ClosedRange<UInt16> = 10_000...30_000
    private static let attempts = 100
    /// Chosen by this process already, perhaps not yet in use.
    private static let chosen = Mutex<Set<UInt16>>([])

    /// A TCP port of 127.0.0.1 that was free a moment ago, and is given once.
    ///
    /// Another process may take it first: be ready to try again.
    package static func find() throws(LocalServerError) -> Int {
        for _ in 0..<Self.attempts {
            let port = UInt16.random(in: Self.range)
            if try Self.isFree(port), Self.chosen.withLock({ $0.insert(port).inserted }) { return Int(port) }
        }
        throw .noFreePort(errno: EADDRINUSE)
    }

    private static func isFree(_ port: UInt16) throws(LocalServerError) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .noFreePort(errno: errno) }
        defer { close(descriptor) }
        let address = Loopback.address(port: Int(port))
        let status = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(descriptor, generic, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if status != 0, errno != EADDRINUSE { throw .noFreePort(errno: errno) }
        return status == 0
    }
}
