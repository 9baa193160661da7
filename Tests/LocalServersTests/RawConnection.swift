import Glibc
import LocalServers

/// A blocking loopback connection for one-line questions.
final class RawConnection {
    struct Refused: Error {}

    private let descriptor: Int32

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw Refused() }
    }

    deinit { close(descriptor) }

    func ask(_ line: String) throws -> String {
        let bytes = Array(line.utf8)
        guard send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else { throw Refused() }
        var answer = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &answer, answer.count, 0)
        guard count > 0 else { throw Refused() }
        return String(decoding: answer[..<count], as: UTF8.self)
    }
}

func withScratchDirectory(_ body: (String) async throws -> Void) async throws {
    let directory = try ScratchDirectory.make("vireo-test")
    do {
        try await body(directory)
    } catch {
        try ScratchDirectory.remove(directory)
        throw error
    }
    try ScratchDirectory.remove(directory)
}
