import Subprocess

/// An authority of a test's own and what it certifies, made by openssl in a directory.
struct Certificates {
    let directory: String

    var authority: String { "\(directory)/ca.pem" }

    func certificate(_ name: String) -> String { "\(directory)/\(name).pem" }
    func key(_ name: String) -> String { "\(directory)/\(name).key" }

    static func make(in directory: String) async throws -> Certificates {
        let certificates = Certificates(directory: directory)
        try await certificates.request("ca", ["-addext", "keyUsage=critical,keyCertSign"])
        return certificates
    }

    /// Certifies a key for the names, as `DNS:localhost` or `IP:127.0.0.1`.
    func certify(_ name: String, for names: String) async throws {
        let extensions = ["-addext", "subjectAltName=\(names)", "-addext", "basicConstraints=critical,CA:FALSE"]
        try await request(name, ["-CA", authority, "-CAkey", key("ca")] + extensions)
    }

    private func request(_ name: String, _ more: [String]) async throws {
        let result = try await Subprocess.run(
            .name("openssl"),
            arguments: Arguments(
                [
                    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=vireo-test-\(name)", "-keyout", key(name), "-out", certificate(name),
                ] + more
            ),
            output: .string(limit: 1 << 16),
            error: .combinedWithOutput
        )
        guard result.terminationStatus.isSuccess else { throw OpenSSLFailed(output: result.standardOutput) }
    }
}

struct OpenSSLFailed: Error {
    let output: String
}
