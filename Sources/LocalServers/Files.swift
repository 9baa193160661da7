import Glibc

/// The few file operations needed here, without Foundation.
enum Files {
    /// Creates the directory, which only its owner may enter, and its parents, which others may pass through: PostgreSQL's
    /// account on its way to a directory of its own.
    ///
    /// - Returns: Its absolute path without symbolic links.
    static func makeDirectory(_ path: String) throws(LocalServerError) -> String {
        var prefix = path.hasPrefix("/") ? "/" : ""
        let parts = path.split(separator: "/")
        for (index, part) in parts.enumerated() {
            prefix += part
            guard mkdir(prefix, index + 1 < parts.count ? 0o711 : 0o700) == 0 || errno == EEXIST else {
                throw .unusablePath(prefix, errno: errno)
            }
            prefix += "/"
        }
        guard let resolved = realpath(path, nil) else { throw .unusablePath(path, errno: errno) }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    static func isExecutable(_ path: String) -> Bool { access(path, X_OK) == 0 }

    static func text(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            guard count > 0 else { return count == 0 ? String(decoding: bytes, as: UTF8.self) : nil }
            bytes += chunk[..<count]
        }
    }

    /// The last part of a log, for error messages.
    static func tail(_ path: String) -> String { String((text(path) ?? "").suffix(2000)) }

    /// Replaces the file; only its owner may read it.
    static func write(_ text: String, to path: String) throws(LocalServerError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .unusablePath(path, errno: errno) }
        defer { close(descriptor) }
        guard fchmod(descriptor, 0o600) == 0 else { throw .unusablePath(path, errno: errno) }
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw .unusablePath(path, errno: errno) }
            written += count
        }
    }

    /// Removes a file or a tree; links are removed, not followed.
    ///
    /// What does not exist is fine.
    static func remove(_ path: String) throws(LocalServerError) {
        if unlink(path) == 0 || errno == ENOENT { return }
        guard errno == EISDIR || errno == EPERM else { throw .unusablePath(path, errno: errno) }
        for name in entries(of: path) { try remove("\(path)/\(name)") }
        guard rmdir(path) == 0 || errno == ENOENT else { throw .unusablePath(path, errno: errno) }
    }

    static func entries(of path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    static func linkTarget(_ path: String) -> String? {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = buffer.withUnsafeMutableBytes { readlink(path, $0.baseAddress!, $0.count) }
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
    }
}
