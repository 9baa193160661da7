import Glibc
import Synchronization
import Testing

/// A folder of files that is gone with the value.
final class TemporaryFolder: Sendable {
    let path: String
    private let files = Mutex<Set<String>>([])

    init() throws {
        var template = Array("/tmp/vireo-import-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { mkdtemp($0.baseAddress!) }
        self.path = String(cString: try #require(made))
    }

    /// A folder as MovieLens has it; the headers are added.
    convenience init(movies: [String], ratings: [String]) throws {
        try self.init()
        try self.write("movies.csv", Self.lines(["movieId,title,genres"] + movies))
        try self.write("ratings.csv", Self.lines(["userId,movieId,rating,timestamp"] + ratings))
    }

    deinit {
        for file in self.files.withLock({ $0 }) { unlink(file) }
        rmdir(self.path)
    }

    static func lines(_ lines: [String]) -> [UInt8] { lines.flatMap { Array($0.utf8) + [0x0A] } }

    @discardableResult
    func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        let path = "\(self.path)/\(name)"
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        self.files.withLock { _ = $0.insert(path) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            try #require(count > 0)
            rest = rest.dropFirst(count)
        }
        return path
    }
}
