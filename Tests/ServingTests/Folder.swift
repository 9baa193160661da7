import Glibc
import Synchronization
import Testing

/// A folder of a test's own, gone with the value.
final class Folder: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/vireo-serving-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { mkdtemp($0.baseAddress!) }
        self.path = String(cString: try #require(made))
    }

    deinit { Self.remove(self.path) }

    /// Names in a folder below, without those of the folder itself and the one above.
    func names(in folder: String) -> [String] { Self.names(in: "\(self.path)/\(folder)") }

    /// Puts another file into the place of one.
    func replace(_ name: String, with bytes: [UInt8]) throws {
        let path = "\(self.path)/\(name)"
        unlink(path)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        try #require(count == bytes.count)
    }

    func link(_ name: String, to target: String) throws {
        let path = "\(self.path)/\(name)"
        unlink(path)
        try #require(symlink(target, path) == 0)
    }

    func content(of name: String) -> [UInt8]? {
        let descriptor = open("\(self.path)/\(name)", O_RDONLY)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return nil }
        let size = Int(status.st_size)
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            count = max(0, read(descriptor, buffer.baseAddress, size))
        }
    }

    /// Makes a file older, in seconds.
    func age(_ name: String, by seconds: Int) {
        let moment = timespec(tv_sec: time(nil) - seconds, tv_nsec: 0)
        _ = utimensat(AT_FDCWD, "\(self.path)/\(name)", [moment, moment], 0)
    }

    private static func names(in path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let capacity = MemoryLayout.size(ofValue: entry.pointee.d_name)
            let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                tuple.withMemoryRebound(to: CChar.self, capacity: capacity) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    private static func remove(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            unlink(path)
            return
        }
        for name in Self.names(in: path) { Self.remove("\(path)/\(name)") }
        rmdir(path)
    }
}

/// Counts from several tasks.
final class Counter: Sendable {
    private let count = Mutex(0)
    var value: Int { self.count.withLock { $0 } }
    func increment() { self.count.withLock { $0 += 1 } }
}
