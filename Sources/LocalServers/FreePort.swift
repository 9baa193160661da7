import Glibc

/// Chooses loopback ports.
package enum FreePort {
    /// A TCP port of 127.0.0.1 that was free a moment ago.
    ///
    /// Someone else may take it first: be ready to try again.
    package static func find() throws(LocalServerError) -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .noFreePort(errno: errno) }
        defer { close(descriptor) }
        var address = Loopback.address(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(descriptor, generic, length) == 0 ? getsockname(descriptor, generic, &length) : -1
            }
        }
        guard status == 0 else { throw .noFreePort(errno: errno) }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}
