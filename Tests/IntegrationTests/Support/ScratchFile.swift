import Glibc

/// A file with some bytes that is gone with the value.
final class ScratchFile: Sendable {
    let path: String

    init(_ bytes: [UInt8]) throws {
        self.path = "/tmp/vireo-integration-\(randomWord())"
        let descriptor = open(self.path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        guard descriptor >= 0 else { throw NeverHappened(description: "cannot create \(self.path)") }
        defer { close(descriptor) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw NeverHappened(description: "cannot write \(self.path)") }
            rest = rest.dropFirst(count)
        }
    }

    deinit { unlink(self.path) }
}
