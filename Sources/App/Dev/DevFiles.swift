import Crypto
import Glibc
import RecommendationCore

/// The API keys of a development directory, in a file that a shell can read.
struct DevKeys: Sendable {
    /// Read and write for tenant `default`; admin for it; admin for the fleet.
    private static let wanted: [(name: String, tenant: Tenant.ID, scopes: Set<Scope>)] = [
        ("APP_KEY", .default, [.read, .write]), ("ADMIN_KEY", .default, [.admin]), ("FLEET_KEY", .fleet, [.admin]),
    ]

    /// The keys of the file, where the database knows them all; otherwise new ones, written there.
    static func ensure(at path: String, keys: any APIKeyRepository) async throws -> DevKeys {
        let known = Set(try await keys.keys().map(\.secretHash))
        let lines = (DevFiles.text(path) ?? "").split(separator: "\n")
        let secrets = lines.compactMap { line in line.split(separator: "=", maxSplits: 1).last.map(String.init) }
        let hashes = secrets.map { Array(SHA256.hash(data: Array($0.utf8))) }
        if hashes.count == Self.wanted.count, hashes.allSatisfy(known.contains) { return DevKeys() }
        var text = ""
        for (name, tenant, scopes) in Self.wanted {
            let (_, secret) = try await KeyOperation(keys: keys).create(tenant: tenant, scopes: scopes)
            text += "\(name)=\(secret)\n"
        }
        try DevFiles.write(text, to: path)
        return DevKeys()
    }
}

/// Small files that only their owner may read.
enum DevFiles {
    static func readOrMake(_ path: String, _ make: () -> String) throws -> String {
        if let text = Self.text(path), !text.isEmpty { return text }
        let text = make()
        try Self.write(text, to: path)
        return text
    }

    static func text(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return String(validating: bytes, as: UTF8.self)
    }

    static func write(_ text: String, to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw DevEnvironment.Failure.file(path: path) }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard fchmod(descriptor, 0o600) == 0, Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw DevEnvironment.Failure.file(path: path)
        }
    }

    /// The program that is running.
    static func ownExecutable() throws -> String {
        guard let path = realpath("/proc/self/exe", nil) else {
            throw DevEnvironment.Failure.file(path: "/proc/self/exe")
        }
        defer { free(path) }
        return String(cString: path)
    }
}
